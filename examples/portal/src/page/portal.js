"use strict";
// Keeps a page fresh. Every page also works without this.
(() => {
  const live = document.getElementById("live");
  const loaded = performance.now();

  const spoken = (ms) => {
    const s = Math.floor(ms / 1000);
    const two = (n) => String(n).padStart(2, "0");
    if (s < 10) return `${s}.${Math.floor((ms % 1000) / 100)} s`;
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
    return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  };

  // Durations tick from what the server said, so a wrong clock does not matter.
  const tick = () => {
    for (const shown of document.querySelectorAll("[data-ticks]")) {
      if (shown.dataset.since === undefined) shown.dataset.since = String(performance.now());
      shown.textContent = spoken(Number(shown.dataset.ticks) + performance.now() - Number(shown.dataset.since));
    }
  };

  const moments = () => {
    for (const time of document.querySelectorAll("time[data-moment]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.title = time.dateTime;
      time.textContent = at.toLocaleString();
      time.removeAttribute("data-moment");
    }
  };

  // Puts new content in place without taking the focus away from a button that is still there, nor what was typed.
  const replace = (region, nodes) => {
    const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
    const typed = [...region.querySelectorAll("input[id]")].map((field) => [field.id, field.value]);
    region.replaceChildren(...nodes);
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field && value) field.value = value;
    }
    if (focused) document.getElementById(focused)?.focus();
    moments();
    tick();
  };

  // At most one refresh at a time, and one more when something happened meanwhile.
  const refresher = (work) => {
    let busy = false;
    let again = false;
    const go = async () => {
      if (busy) { again = true; return; }
      busy = true;
      try { await work(); } catch { /* the next event tries again */ }
      await new Promise((done) => setTimeout(done, 200));
      busy = false;
      if (again) { again = false; go(); }
    };
    return go;
  };

  const parsed = async (address) => {
    const answer = await fetch(address, { credentials: "same-origin", redirect: "manual" });
    if (!answer.ok) throw new Error(String(answer.status));
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  const followRun = () => {
    const log = document.getElementById("log");
    let ended = live.hasAttribute("data-ended");
    let later = live.querySelector("#place") ? setTimeout(() => refresh(), 5000) : 0;
    const refresh = refresher(async () => {
      const page = await parsed(live.dataset.run);
      replace(live, [...page.body.childNodes]);
      const state = live.querySelector(".state");
      const announce = document.getElementById("announce");
      const said = `Run ${state?.dataset.state.replace("_", " ")}`;
      if (state && announce && announce.textContent !== said) announce.textContent = said;
      // What happens to the runs before it is no event of this one.
      clearTimeout(later);
      if (live.querySelector("#place")) later = setTimeout(refresh, 5000);
      ended = state?.hasAttribute("data-terminal") ?? ended;
    });
    const most = 1000000;
    const tail = async () => {
      let grew = false;
      try {
        const answer = await fetch(`${log.dataset.log}?offset=${log.dataset.end}`, { credentials: "same-origin", redirect: "manual" });
        const end = answer.ok ? answer.headers.get("eyrie-log-end") : null;
        if (end !== null && end !== log.dataset.end) {
          const text = await answer.text();
          const atBottom = log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
          log.append(text);
          log.normalize();
          if (log.textContent.length > most) log.textContent = `…\n${log.textContent.slice(-most / 2)}`;
          log.dataset.end = end;
          document.getElementById("nolog")?.remove();
          document.querySelector(".paging")?.remove();
          if (atBottom) log.scrollTop = log.scrollHeight;
          grew = true;
        }
      } catch { /* tried again below */ }
      if (grew) setTimeout(tail, 100);
      else if (!ended) setTimeout(tail, 1000);
    };
    if (log) tail();
    if (ended) return;
    const events = new EventSource(live.dataset.events);
    events.onmessage = refresh;
    // After an interruption it may have ended without an event for us.
    events.onerror = refresh;
  };

  const followAll = () => {
    const refresh = refresher(async () => {
      const page = await parsed(location.href);
      const fresh = page.getElementById("live");
      if (fresh) replace(live, [...fresh.childNodes]);
    });
    const events = new EventSource(live.dataset.live);
    events.onmessage = refresh;
    events.addEventListener("pruned", refresh);
    events.onopen = () => { if (performance.now() - loaded > 5000) refresh(); };
  };

  moments();
  tick();
  setInterval(tick, 500);
  if (live?.dataset.run) followRun();
  else if (live?.dataset.live) followAll();
})();
