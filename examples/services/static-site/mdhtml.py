"""A small Markdown renderer: enough for a repository's own documents.

Understood: ATX headings (`#`), paragraphs, hard line breaks, fenced and
indented code, ordered and unordered lists (nested, tight or loose), block
quotes, tables, thematic breaks, inline code, bold, emphasis, links (inline,
by reference, `<https://...>` and bare), backslash escapes.

Not understood, and shown as the text it is: raw HTML, footnotes, setext
headings (underlined with `===`). An image is shown as its alternative text.

Nothing from the source reaches the output unescaped, and a link is only a
link when it is http, https, relative, or a `#fragment`.
"""

import html
import re
from typing import Callable, Dict, List, Optional, Tuple

# Deeper nesting than this is shown as plain text, so that hostile input
# cannot exhaust the stack.
MAX_DEPTH = 12

PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([^`]*)$")
HEADING = re.compile(r"^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
RULE = re.compile(r"^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
ITEM = re.compile(r"^( {0,3})([-*+]|\d{1,9}[.)])(\s+|$)")
QUOTE = re.compile(r"^ {0,3}> ?")
DELIMITER_ROW = re.compile(r"^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
DEFINITION = re.compile(r"^ {0,3}\[([^\]\[]+)\]:\s*<?([^\s>]+)>?(?:\s+[\"'(].*)?\s*$")
AUTOLINK = re.compile(r"<(https?://[^\s<>]+)>")
BARE_URL = re.compile(r"https?://[^\s<>`*\[\]]+")
PLAIN = re.compile(r"[^\\`<!\[*_h]+")


def safe_href(href: str) -> Optional[str]:
    """The href if it is http, https, relative or a fragment, else None."""
    if not href or any(ch <= " " or ch in "\\\x7f" for ch in href):
        return None
    if href.startswith("//"):  # "//host" leaves the site without naming a scheme
        return None
    if re.match(r"https?://", href, re.IGNORECASE):
        return href
    if ":" in re.split(r"[/?#]", href, maxsplit=1)[0]:  # any other scheme
        return None
    return href


def slug(text: str) -> str:
    """The anchor of a heading, made the way code hosts make theirs."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.strip().lower()))


class Renderer:
    """Renders one document. After `render`: `headings` and `summary`.

    `resolve` may rewrite a safe href, or return None to show only its text.
    """

    def __init__(self, resolve: Optional[Callable[[str], Optional[str]]] = None):
        self._resolve = resolve or (lambda href: href)
        self._references: Dict[str, str] = {}
        self._anchors: Dict[str, int] = {}
        self.headings: List[Tuple[int, str, str]] = []  # level, anchor, HTML of the text
        self.summary = ""  # HTML of the first paragraph

    def render(self, source: str) -> str:
        lines = source.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
        return self._blocks(self._take_definitions(lines), 0)

    # -- blocks ---------------------------------------------------------

    def _take_definitions(self, lines: List[str]) -> List[str]:
        """Removes `[label]: target` lines outside fences and remembers them."""
        kept, fence = [], ""
        for line in lines:
            mark = FENCE.match(line)
            if fence:
                if closes(line, fence):
                    fence = ""
            elif mark:
                fence = mark.group(1)
            else:
                found = DEFINITION.match(line)
                if found:
                    self._references.setdefault(found.group(1).strip().lower(), found.group(2))
                    continue
            kept.append(line)
        return kept

    def _blocks(self, lines: List[str], depth: int, tight: bool = False) -> str:
        out: List[str] = []
        i = 0
        while i < len(lines):
            line = lines[i]
            if not line.strip():
                i += 1
                continue

            fence = FENCE.match(line)
            if fence:
                i = self._fence(lines, i, fence, out)
                continue

            heading = HEADING.match(line)
            if heading:
                out.append(self._heading(len(heading.group(1)), heading.group(2) or ""))
                i += 1
                continue

            if RULE.match(line):
                out.append("<hr>")
                i += 1
                continue

            if QUOTE.match(line) and depth < MAX_DEPTH:
                inner = []
                while i < len(lines) and QUOTE.match(lines[i]):
                    inner.append(QUOTE.sub("", lines[i], count=1))
                    i += 1
                out.append("<blockquote>\n%s\n</blockquote>" % self._blocks(inner, depth + 1))
                continue

            if ITEM.match(line) and depth < MAX_DEPTH:
                i = self._list(lines, i, depth, out)
                continue

            if is_table(lines, i):
                i = self._table(lines, i, out)
                continue

            if line.startswith("    "):
                code = []
                while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip()):
                    code.append(lines[i][4:])
                    i += 1
                out.append("<pre><code>%s</code></pre>" % escape("\n".join(code).rstrip("\n") + "\n"))
                continue

            # A paragraph runs to a blank line or to the start of another block.
            text = [line.lstrip()]
            i += 1
            while i < len(lines) and lines[i].strip() and not interrupts(lines, i):
                text.append(lines[i].lstrip())
                i += 1
            body = self._inline("\n".join(text).rstrip())
            if depth == 0 and not self.summary:
                self.summary = body
            out.append(body if tight else "<p>%s</p>" % body)
        return "\n".join(out)

    def _fence(self, lines, i, fence, out) -> int:
        indent = len(lines[i]) - len(lines[i].lstrip())
        mark, info = fence.group(1), fence.group(2).strip()
        code = []
        i += 1
        while i < len(lines) and not closes(lines[i], mark):
            line = lines[i]
            code.append(line[min(indent, len(line) - len(line.lstrip())):])
            i += 1
        body = escape("".join(line + "\n" for line in code))
        language = re.split(r"[\s,{]", info, maxsplit=1)[0]
        if language == "mermaid":  # no diagram is drawn: its source is readable
            out.append('<pre class="mermaid">%s</pre>' % body)
        elif language:
            out.append('<pre><code class="language-%s">%s</code></pre>' % (escape(language), body))
        else:
            out.append("<pre><code>%s</code></pre>" % body)
        return i + 1

    def _heading(self, level: int, source: str) -> str:
        text = self._inline(source)
        base = slug(html.unescape(re.sub(r"<[^>]*>", "", text)))
        count = self._anchors.get(base, 0)
        self._anchors[base] = count + 1
        anchor = "%s-%d" % (base, count) if count else base
        self.headings.append((level, anchor, text))
        return '<h%d id="%s">%s</h%d>' % (level, escape(anchor), text, level)

    def _list(self, lines, i, depth, out) -> int:
        first = ITEM.match(lines[i])
        ordered = first.group(2)[0].isdigit()
        items: List[List[str]] = []
        loose = False
        while i < len(lines):
            marker = ITEM.match(lines[i])
            if not marker or RULE.match(lines[i]) or marker.group(2)[-1] != first.group(2)[-1]:
                break
            # Lines indented to the text of the item belong to it; text that
            # begins five or more columns after the marker is code within it.
            gap = len(marker.group(3))
            width = marker.end(2) + (gap if 1 <= gap <= 4 else 1)
            item = [lines[i][width:]]
            i += 1
            while i < len(lines):
                line = lines[i]
                if not line.strip():
                    item.append("")
                elif line.startswith(" " * width):
                    item.append(line[width:])
                elif item[-1] and not interrupts(lines, i) and not ITEM.match(line):
                    item.append(line.lstrip())  # a paragraph's lazy continuation
                else:
                    break
                i += 1
            ended_blank = not item[-1]
            while item and not item[-1]:
                item.pop()
            loose = loose or has_blank_outside_fence(item)
            if ended_blank and i < len(lines):
                following = ITEM.match(lines[i])
                loose = loose or bool(following and following.group(2)[-1] == first.group(2)[-1])
            items.append(item)
        start = int(first.group(2)[:-1]) if ordered else 1
        tag = "ol" if ordered else "ul"
        out.append("<%s%s>" % (tag, ' start="%d"' % start if start != 1 else ""))
        for item in items:
            out.append("<li>%s</li>" % self._blocks(item, depth + 1, tight=not loose))
        out.append("</%s>" % tag)
        return i

    def _table(self, lines, i, out) -> int:
        header = split_row(lines[i])
        classes = []
        for cell in split_row(lines[i + 1]):
            left, right = cell.startswith(":"), cell.endswith(":")
            name = "center" if left and right else "right" if right else ""
            classes.append(' class="%s"' % name if name else "")
        i += 2
        rows = []
        while i < len(lines) and lines[i].strip() and not interrupts(lines, i):
            rows.append(split_row(lines[i]))
            i += 1

        def row(cells, tag):
            cells = (cells + [""] * len(header))[: len(header)]
            return "<tr>%s</tr>" % "".join(
                "<%s%s>%s</%s>" % (tag, classes[n], self._inline(cell), tag)
                for n, cell in enumerate(cells)
            )

        out.append('<div class="table"><table>\n<thead>%s</thead>\n<tbody>' % row(header, "th"))
        out.extend(row(cells, "td") for cells in rows)
        out.append("</tbody></table></div>")
        return i

    # -- inlines --------------------------------------------------------

    def _inline(self, text: str, depth: int = 0, links: bool = True) -> str:
        if depth > MAX_DEPTH:
            return escape(text)
        out: List[str] = []
        i = 0
        while i < len(text):
            plain = PLAIN.match(text, i)
            if plain:
                out.append(re.sub(r" {2,}\n", "<br>\n", escape(plain.group())))
                i = plain.end()
                continue
            ch = text[i]
            taken: Optional[Tuple[str, int]] = None
            if ch == "\\" and i + 1 < len(text):
                if text[i + 1] == "\n":
                    taken = ("<br>\n", i + 2)
                elif text[i + 1] in PUNCTUATION:
                    taken = (escape(text[i + 1]), i + 2)
            elif ch == "`":
                taken = code_span(text, i)
            elif ch == "<":
                found = AUTOLINK.match(text, i)
                if found:
                    taken = (self._link(found.group(1), escape(found.group(1)), links), found.end())
            elif ch == "h" and (i == 0 or not text[i - 1].isalnum()):
                found = BARE_URL.match(text, i)
                if found:
                    url = found.group().rstrip(".,;:!?'\"")
                    if url.endswith(")") and "(" not in url:
                        url = url.rstrip(").,;:!?'\"")
                    taken = (self._link(url, escape(url), links), i + len(url))
            elif ch == "!" and text.startswith("[", i + 1):
                found = self._find_link(text, i + 1)
                if found:
                    label, _, end = found
                    taken = (self._inline(label, depth + 1, links=False), end)
            elif ch == "[":
                found = self._find_link(text, i)
                if found:
                    label, href, end = found
                    inner = self._inline(label, depth + 1, links=False)
                    taken = (self._link(href, inner, links), end)
            elif ch in "*_":
                taken = self._emphasis(text, i, depth, links)
            if taken is None:
                taken = (escape(ch), i + 1)
                if ch in "`*_":  # an unmatched run is literal as a whole
                    end = i + run_length(text, i)
                    taken = (escape(text[i:end]), end)
            out.append(taken[0])
            i = taken[1]
        return "".join(out)

    def _link(self, href: str, inner: str, links: bool) -> str:
        safe = safe_href(href) if links else None
        resolved = self._resolve(safe) if safe else None
        if resolved is None:
            return inner
        return '<a href="%s">%s</a>' % (escape(resolved), inner)

    def _find_link(self, text: str, i: int) -> Optional[Tuple[str, str, int]]:
        """Label, target and end of the link whose `[` is at i."""
        close = matching(text, i, "[", "]")
        if close is None:
            return None
        label = text[i + 1 : close]
        after = close + 1
        if text.startswith("(", after):
            end = matching(text, after, "(", ")")
            if end is None:
                return None
            target = re.match(
                r"\s*(?:<([^<>\n]*)>|(\S*?))(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*$", text[after + 1 : end]
            )
            return (label, target.group(1) or target.group(2) or "", end + 1) if target else None
        key = label
        if text.startswith("[", after):
            end = matching(text, after, "[", "]")
            if end is not None:
                key = text[after + 1 : end] or label
                after = end + 1
        href = self._references.get(key.strip().lower())
        return (label, href, after) if href is not None else None

    def _emphasis(self, text, i, depth, links) -> Optional[Tuple[str, int]]:
        mark = text[i]
        run = run_length(text, i)
        if run > 3 or (mark == "_" and i > 0 and text[i - 1].isalnum()):
            return None
        for size, tag in ((2, "strong"), (1, "em")):
            if run not in (size, 3):
                continue
            start = i + size
            if start >= len(text) or text[start].isspace():
                continue
            close = find_closer(text, start, mark, size)
            if close is not None:
                inner = self._inline(text[start:close], depth + 1, links)
                return "<%s>%s</%s>" % (tag, inner, tag), close + size
        return None


def escape(text: str) -> str:
    return html.escape(text, quote=True)


def closes(line: str, mark: str) -> bool:
    """Whether the line closes a fence opened with `mark`."""
    text = line.strip()
    return len(text) >= len(mark) and text == mark[0] * len(text)


def is_table(lines: List[str], i: int) -> bool:
    return (
        "|" in lines[i]
        and i + 1 < len(lines)
        and bool(DELIMITER_ROW.match(lines[i + 1]))
        and len(split_row(lines[i])) == len(split_row(lines[i + 1]))
    )


def interrupts(lines: List[str], i: int) -> bool:
    """Whether line i starts a block that ends a paragraph before it."""
    line = lines[i]
    if FENCE.match(line) or HEADING.match(line) or RULE.match(line) or QUOTE.match(line):
        return True
    item = ITEM.match(line)
    if item and item.group(3) and item.group(2) in ("-", "*", "+", "1.", "1)"):
        return True
    return is_table(lines, i)


def split_row(line: str) -> List[str]:
    """The cells of a table row; `\\|` is a pipe within a cell."""
    text = line.strip()
    if text.startswith("|"):
        text = text[1:]
    if text.endswith("|") and not text.endswith("\\|"):
        text = text[:-1]
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", text)]


def has_blank_outside_fence(lines: List[str]) -> bool:
    """Whether blank lines part an item's own blocks (not those of a sublist)."""
    fence = ""
    for n, line in enumerate(lines):
        mark = FENCE.match(line)
        if fence:
            if closes(line, fence):
                fence = ""
        elif mark:
            fence = mark.group(1)
        elif not line and n + 1 < len(lines):
            following = lines[n + 1]
            if following and not following.startswith(" ") and not ITEM.match(following):
                return True
    return False


def run_length(text: str, i: int) -> int:
    end = i
    while end < len(text) and text[end] == text[i]:
        end += 1
    return end - i


def code_span_end(text: str, i: int) -> Optional[int]:
    """Where the backticks that close the code span at i begin."""
    size = run_length(text, i)
    at = i + size
    while True:
        at = text.find("`" * size, at)
        if at < 0:
            return None
        found = run_length(text, at)
        if found == size:
            return at
        at += found


def code_span(text: str, i: int) -> Optional[Tuple[str, int]]:
    close = code_span_end(text, i)
    if close is None:
        return None
    size = run_length(text, i)
    body = text[i + size : close].replace("\n", " ")
    if len(body) > 2 and body[0] == body[-1] == " " and body.strip():
        body = body[1:-1]
    return "<code>%s</code>" % escape(body), close + size


def skip(text: str, i: int) -> int:
    """Past an escape or a code span at i, else i."""
    if text[i] == "\\":
        return min(i + 2, len(text))
    if text[i] == "`":
        close = code_span_end(text, i)
        return (close if close is not None else i) + run_length(text, i)
    return i


def matching(text: str, i: int, opening: str, closing: str) -> Optional[int]:
    """The bracket that closes the one at i."""
    depth = 0
    while i < len(text):
        past = skip(text, i)
        if past != i:
            i = past
            continue
        if text[i] == opening:
            depth += 1
        elif text[i] == closing:
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return None


def find_closer(text: str, i: int, mark: str, size: int) -> Optional[int]:
    """Where the emphasis that began before i ends.

    One mark is closed by a run of one or three and two by a run of two or
    three; of three, the last marks are taken, and the inner ones are left for
    the emphasis within.
    """
    while i < len(text):
        past = skip(text, i)
        if past != i:
            i = past
            continue
        if text[i] == mark:
            run = run_length(text, i)
            after = text[i + run : i + run + 1]
            if run in (size, 3) and not text[i - 1].isspace():
                if mark == "*" or not after.isalnum():
                    return i + run - size
            i += run
            continue
        i += 1
    return None
