#!/usr/bin/env python3
"""Releases a small website made from the repository's own documents.

    deploy.py --config FILE

What is below the site's root, and what may be relied on:

    current      symlink to the release being served; only ever replaced whole
    last-good    symlink to the last release that passed its smoke check
    releases/    one folder per release; a folder with a release's name is complete
    packages/    the archive each release was unpacked from
    .work/       everything unfinished; emptied when a deploy starts

The script may be killed at any moment and run again. Whatever it makes, it
makes in .work and renames into place; whatever it deletes, it first renames
into .work. A lock, which the system releases when the process ends however it
ends, keeps two deploys of one site apart.
"""

import argparse
import contextlib
import fcntl
import functools
import gzip
import hashlib
import html
import http.server
import json
import os
import re
import shutil
import sys
import tarfile
import threading
import time
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

sys.dont_write_bytecode = True  # leave no __pycache__ in the service's folder

import mdhtml  # noqa: E402  (beside this file)

HERE = Path(__file__).resolve().parent
RELEASE_ID = re.compile(r"\d{8}T\d{6}Z-[0-9A-Za-z]{1,8}")
FETCH_SECONDS = 10
FETCH_BYTES = 16 * 1024 * 1024


# -- talking to the server ----------------------------------------------


class Failure(Exception):
    """Something the reader of the run can act on; shown without a traceback."""


def log(text):
    print(text, flush=True)


def report(name, state, **more):
    """One JSON object on a line of its own is a step; all else is log."""
    print(json.dumps({"name": name, "state": state, **more}), flush=True)


@contextlib.contextmanager
def step(name):
    """Reports a step as running, then as success or failure.

    What the block puts into the dict it is given ("message") goes along.
    """
    report(name, "running")
    outcome = {}
    try:
        yield outcome
    except (Failure, OSError) as error:
        report(name, "failure", error_message=str(error))
        sys.exit(1)
    except Exception as error:
        report(name, "failure", error_message="%s: %s" % (type(error).__name__, error))
        raise  # a defect of this script: the traceback goes to the log
    report(name, "success", **outcome)


# -- settings -----------------------------------------------------------


class Settings:
    def __init__(self, file):
        with open(file, encoding="utf-8") as opened:
            given = json.load(opened)
        config = given.get("config") or {}
        env = (given.get("context") or {}).get("env") or {}

        self.run_id = str(given.get("run_id") or "")
        self.short_run = re.sub(r"[^0-9A-Za-z]", "", self.run_id)[:8]
        if not self.short_run:
            raise Failure("the configuration has no run_id")

        root = env.get("SITE_ROOT") or config.get("site_root") or "../../../target/static-site"
        self.root = (HERE / root).resolve()

        self.title = str(config.get("site_title") or "Documents")
        self.names = config.get("pages") or ["README.md"]
        self.source = env.get("SITE_SOURCE")
        self.site_url = env.get("SITE_URL")
        if self.site_url and urllib.parse.urlsplit(self.site_url).scheme not in ("http", "https"):
            raise Failure("SITE_URL must be an http or https address, not %r" % self.site_url)

        self.keep = config.get("keep_releases", 3)
        if not isinstance(self.keep, int) or isinstance(self.keep, bool) or self.keep < 1:
            raise Failure("keep_releases must be a whole number, at least 1, not %r" % (self.keep,))


# -- the site's folder --------------------------------------------------


class Site:
    """The folder layout described at the top of this file."""

    def __init__(self, root):
        self.root = root
        self.current = root / "current"
        self.last_good = root / "last-good"
        self.releases = root / "releases"
        self.packages = root / "packages"
        self.work = root / ".work"

    def open(self):
        """Takes the lock, and clears what a killed deploy left unfinished."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)  # held to the end
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("waiting: another deploy of this site is under way")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for link in (self.current, self.last_good):
            if link.exists() and not link.is_symlink():
                raise Failure("%s is not a symlink; this site's root is used by something else" % link)
        if self.work.is_symlink():
            raise Failure("%s is a symlink" % self.work)
        if self.work.exists():
            shutil.rmtree(self.work)
        for folder in (self.work, self.releases, self.packages):
            folder.mkdir(exist_ok=True)

    def ids(self):
        """The complete releases, newest first."""
        return sorted((p.name for p in self.releases.iterdir() if RELEASE_ID.fullmatch(p.name)), reverse=True)

    def target(self, link):
        """The id of the release that a link points to, if there is one."""
        try:
            name = PurePosixPath(os.readlink(link)).name
        except FileNotFoundError:
            return None
        return name if (self.releases / name).is_dir() else None

    def point(self, link, release):
        """Makes a link point to a release, in one step that cannot be seen half done."""
        new = self.work / (link.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        os.symlink("releases/" + release, new)
        os.replace(new, link)

    def remove(self, release):
        """Removes a release: its name goes at once, its content after that."""
        gone = self.work / ("gone-" + release)
        os.rename(self.releases / release, gone)
        shutil.rmtree(gone)

    def run_of(self, release):
        """The full run id that made a release. (Ids hold only its start, which
        runs that began close together may share.)"""
        try:
            return json.loads((self.releases / release / "release.json").read_text("utf-8"))["run_id"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def new_id(self, short_run):
        """An id that no release has, with its time. Waits out the second of the newest
        release, so that the order of ids is the order of releases."""
        while True:
            now = datetime.now(timezone.utc).replace(microsecond=0)
            release = "%s-%s" % (now.strftime("%Y%m%dT%H%M%SZ"), short_run)
            newest = next(iter(self.ids()), "")
            if release[:16] != newest[:16]:
                return release, int(now.timestamp())
            time.sleep(0.1)


# -- building -----------------------------------------------------------


class Page:
    def __init__(self, path, file_name):
        self.path = path
        self.file_name = file_name
        self.title = path.stem
        self.body = ""
        self.summary = ""
        self.headings = []


def collect(settings):
    """The documents to publish."""
    if settings.source:
        folder = (HERE / settings.source).resolve()
        if not folder.is_dir():
            raise Failure("SITE_SOURCE is not a folder: %s" % folder)
        found = sorted(path for path in folder.glob("*.md") if path.is_file())
        order = {name: n for n, name in enumerate(settings.names)}
        found.sort(key=lambda path: order.get(path.name, len(order)))
    else:
        folder = next((up for up in HERE.parents if (up / "Cargo.toml").is_file()), None)
        if folder is None:
            raise Failure("no folder above %s has a Cargo.toml; set SITE_SOURCE" % HERE)
        found = []
        for name in settings.names:
            if (folder / name).is_file():
                found.append(folder / name)
            else:
                log("left out, not there: %s" % (folder / name))
    if not found:
        raise Failure("no Markdown documents in %s" % folder)

    pages, taken = [], {"index"}
    for path in found:
        base = name = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-") or "page"
        n = 2
        while name in taken:
            name, n = "%s-%d" % (base, n), n + 1
        taken.add(name)
        pages.append(Page(path, name + ".html"))
        log("page: %s -> %s.html" % (path, name))
    return folder, pages


def build(settings, pages, release, out):
    """Writes the whole site into the folder `out`."""
    published = {page.path.name: page.file_name for page in pages}

    def resolve(href):
        """Links between documents become links between pages; links to files
        that this site does not have become plain text."""
        if href.startswith("#") or re.match(r"https?:", href, re.IGNORECASE):
            return href
        path, mark, fragment = href.partition("#")
        target = published.get(urllib.parse.unquote(path[2:] if path.startswith("./") else path))
        return target + mark + fragment if target else None

    for page in pages:
        try:
            source = page.path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Failure("%s is not UTF-8: %s" % (page.path, error))
        renderer = mdhtml.Renderer(resolve)
        page.body = renderer.render(source)
        page.headings = renderer.headings
        page.summary = renderer.summary
        first = next((text for level, _, text in renderer.headings if level == 1), None)
        if first:
            page.title = html.unescape(re.sub(r"<[^>]*>", "", first))

    out.mkdir()
    for page in pages:
        write(out / page.file_name, document(settings, pages, page.file_name, page.title, contents(page) + page.body, release))
    cards = "\n".join(
        '<li><a class="title" href="%s">%s</a><p>%s</p></li>'
        % (page.file_name, html.escape(page.title), re.sub(r"</?a\b[^>]*>", "", page.summary))
        for page in pages
    )
    body = '<h1>%s</h1>\n<ul class="cards">\n%s\n</ul>' % (html.escape(settings.title), cards)
    write(out / "index.html", document(settings, pages, "index.html", None, body, release))
    shutil.copyfile(HERE / "site.css", out / "site.css")
    write(out / "release.json", json.dumps({"release": release, "run_id": settings.run_id}) + "\n")


def contents(page):
    """A list of a long page's sections."""
    sections = [(anchor, text) for level, anchor, text in page.headings if level == 2]
    if len(sections) < 3:
        return ""
    items = "\n".join(
        '<li><a href="#%s">%s</a></li>' % (html.escape(anchor), re.sub(r"</?a\b[^>]*>", "", text))
        for anchor, text in sections
    )
    return '<details class="contents"><summary>On this page</summary>\n<ul>\n%s\n</ul></details>\n' % items


def document(settings, pages, file_name, title, body, release):
    site = html.escape(settings.title)
    nav = "\n".join(
        '<a href="%s"%s>%s</a>'
        % (
            page.file_name,
            ' aria-current="page"' if page.file_name == file_name else "",
            html.escape(page.path.stem.replace("_", " ").capitalize()),
        )
        for page in pages
    )
    return """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'self'">
%s
<title>%s</title>
<link rel="stylesheet" href="site.css">
</head>
<body>
<header>
<a class="name" href="index.html">%s</a>
<nav>
%s
</nav>
</header>
<main>
%s
</main>
<footer>Release %s</footer>
</body>
</html>
""" % (
        release_tag(release),
        "%s - %s" % (html.escape(title), site) if title else site,
        site,
        nav,
        body,
        html.escape(release),
    )


def release_tag(release):
    """What the smoke check looks for in each page."""
    return '<meta name="release" content="%s">' % html.escape(release)


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="\n") as opened:
        opened.write(text)


# -- packing and unpacking ----------------------------------------------


def pack(folder, archive, stamp):
    """Packs a folder so that the same content always gives the same bytes.

    Files carry the time of the release, and not a fixed one: web servers
    derive Last-Modified from it, and with one time for all releases browsers
    would be told that a changed page had not changed.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with open(archive, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as zipped:
            with tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for path in files:
                    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
                    entry.size = path.stat().st_size
                    entry.mtime = stamp
                    entry.mode = 0o644
                    with open(path, "rb") as opened:
                        tar.addfile(entry, opened)
    return len(files)


def unpack(archive, folder):
    """Unpacks plain files only, and only to places within the folder."""
    folder.mkdir()
    count = 0
    with tarfile.open(archive, "r:gz") as tar:
        for entry in tar:
            path = PurePosixPath(entry.name)
            if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in entry.name:
                raise Failure("refused: the archive's entry %r leaves the release" % entry.name)
            if not entry.isreg():
                raise Failure("refused: the archive's entry %r is not a plain file" % entry.name)
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x": an entry may not come twice. As no entry can be a link, none
            # of the folders on the way can lead elsewhere.
            with tar.extractfile(entry) as packed, open(target, "xb") as opened:
                shutil.copyfileobj(packed, opened)
            os.chmod(target, 0o644)
            os.utime(target, (entry.mtime, entry.mtime))
            count += 1
    return count


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as opened:
        for block in iter(lambda: opened.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# -- smoke check --------------------------------------------------------


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder):
    """Serves a folder on a free loopback port; gives its address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield "http://127.0.0.1:%d/" % server.server_port
        finally:
            server.shutdown()
            thread.join()


def check(url, wanted, proxies):
    """Fetches an address; fails unless it answers 200 with `wanted` in it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(url, timeout=FETCH_SECONDS) as answer:
            status, text = answer.status, answer.read(FETCH_BYTES).decode("utf-8", "replace")
    except OSError as error:  # also every HTTP status of 400 and above
        raise Failure("%s: %s" % (url, error))
    if status != 200:
        raise Failure("%s: answered %d" % (url, status))
    if wanted not in text:
        raise Failure("%s: answered 200, but not with this release" % url)
    log("ok: %s" % url)


def smoke_check(site, settings, pages, release):
    names = ["index.html"] + [page.file_name for page in pages]
    with serve(site.current) as address:
        for name in names:
            check(address + name, release_tag(release), {})
        check(address + "site.css", "", {})
    if settings.site_url:
        check(settings.site_url, release_tag(release), None)
    return len(names)


def switch_back(site, release, before):
    """After a failed check: serve what was served before; drop the new release."""
    # What was served before is only trusted if nothing better is known: a run
    # killed after its switch may have left a release that was never checked.
    good = site.target(site.last_good) or before
    if good:
        site.point(site.current, good)
        done = "switched back to %s" % good
    else:
        site.current.unlink()
        done = "there was no earlier release, so nothing is served now"
    site.remove(release)  # its archive stays in packages until the next success
    return done


# -- the deploy ---------------------------------------------------------


def prune(site, settings, release):
    """Keeps the newest releases; never removes the one being served."""
    kept, removed = [], []
    for name in site.ids():
        superseded = name != release and site.run_of(name) == settings.run_id
        if name == release or (not superseded and len(kept) < settings.keep):
            kept.append(name)
        else:
            site.remove(name)
            removed.append(name)
            log("removed: %s" % name)
    for archive in site.packages.iterdir():
        name = archive.name[: -len(".tar.gz")]
        if archive.name.endswith(".tar.gz") and RELEASE_ID.fullmatch(name) and name not in kept:
            archive.unlink()
    return kept, removed


def deploy(settings):
    site = Site(settings.root)
    with step("Collect pages") as outcome:
        site.open()
        before, good = site.target(site.current), site.target(site.last_good)
        if before and before != good:
            log("%s is being served but was never checked: an earlier deploy was stopped" % before)
        for name in site.ids():  # what a killed attempt of this same run left
            if name not in (before, good) and site.run_of(name) == settings.run_id:
                log("removed, left by an earlier attempt of this run: %s" % name)
                site.remove(name)
        release, stamp = site.new_id(settings.short_run)
        folder, pages = collect(settings)
        outcome["message"] = "%d pages from %s" % (len(pages), folder)

    built = site.work / "built"
    with step("Build HTML") as outcome:
        build(settings, pages, release, built)
        outcome["message"] = "release %s" % release

    archive = site.packages / (release + ".tar.gz")
    with step("Pack release") as outcome:
        unfinished = site.work / archive.name
        count = pack(built, unfinished, stamp)
        os.replace(unfinished, archive)
        outcome["message"] = "%d files, %d bytes, sha256 %s" % (count, archive.stat().st_size, sha256(archive))

    with step("Unpack release") as outcome:
        unpacked = site.work / release
        count = unpack(archive, unpacked)
        os.rename(unpacked, site.releases / release)
        outcome["message"] = "%d files in %s" % (count, site.releases / release)

    with step("Switch") as outcome:
        site.point(site.current, release)
        outcome["message"] = "%s -> %s" % (before or "nothing", release)

    with step("Smoke check") as outcome:
        try:
            count = smoke_check(site, settings, pages, release)
        except Exception as error:
            done = switch_back(site, release, before)
            raise Failure("%s; %s" % (error, done)) from error
        site.point(site.last_good, release)
        outcome["message"] = "%d pages answered with %s" % (count, release)

    with step("Prune old releases") as outcome:
        kept, removed = prune(site, settings, release)
        shutil.rmtree(site.work)
        outcome["message"] = "kept %d, removed %d" % (len(kept), len(removed))


def main():
    parser = argparse.ArgumentParser(description="Releases the documentation site.")
    parser.add_argument("--config", required=True, metavar="FILE")
    arguments = parser.parse_args()
    try:
        settings = Settings(arguments.config)
    except (Failure, OSError, ValueError) as error:
        print("deploy.py: %s" % error, file=sys.stderr, flush=True)
        sys.exit(2)
    deploy(settings)


if __name__ == "__main__":
    main()
