"use strict";
// Filters, opens what an address points to, switches the colours. The page is complete without it.
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));

  // Colours: the reader's own choice wins over the system's until the page is left.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = byId("colours");
  const isDark = () => (document.documentElement.dataset.colours || (dark.matches ? "dark" : "light")) === "dark";
  const updateButton = () => colours.setAttribute("aria-pressed", String(isDark()));
  colours.addEventListener("click", () => {
    document.documentElement.dataset.colours = isDark() ? "light" : "dark";
    updateButton();
  });
  dark.addEventListener("change", updateButton);
  updateButton();
  colours.hidden = false;

  // Filter. The texts are gathered once, before the first key where there is time for it.
  const items = all(".rules > li");
  const groups = all(".group").map((part) => ({
    part, items: all(".rules > li", part), count: part.querySelector(".count"), open: part.open,
  }));
  const fields = ["q", "by-s", "by-v", "by-w"].map(byId);
  const [text, severity, verdict, waiver] = fields;
  const shownCount = byId("shown"), clear = byId("clear"), unfold = byId("unfold");
  let texts = null;
  let filtered = false;

  const gather = () => {
    texts ??= items.map((item) => item.textContent.toLowerCase());
  };
  const fits = (item, words, n) => {
    const is = item.dataset;
    if (severity.value && is.s !== severity.value) return false;
    if (verdict.value && (verdict.value === "open" ? is.o !== "1" : is.v !== verdict.value)) return false;
    if (waiver.value === "waived" ? is.w !== "active" && is.w !== "expiring" : waiver.value && is.w !== waiver.value) return false;
    return words.every((word) => texts[n].includes(word));
  };

  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isFiltering = words.length > 0 || fields.some((field) => field !== text && field.value);
    if (words.length) gather();
    if (isFiltering && !filtered) for (const group of groups) group.open = group.part.open;
    let left = 0;
    items.forEach((item, n) => {
      const fit = !isFiltering || fits(item, words, n);
      if (item.hidden === fit) item.hidden = !fit;
      left += fit;
    });
    for (const group of groups) {
      const of = group.items.length;
      const n = isFiltering ? group.items.filter((item) => !item.hidden).length : of;
      group.part.hidden = n === 0;
      group.count.textContent = n === of ? String(of) : `${n} of ${of}`;
      if ("open" in group.part && isFiltering !== filtered) group.part.open = isFiltering || group.open;
    }
    for (const id of ["open", "others"]) byId(id).hidden = isFiltering && !byId(id).querySelector(".rules > li:not([hidden])");
    filtered = isFiltering;
    clear.disabled = !isFiltering;
    byId("nothing").hidden = left > 0;
    shownCount.textContent = isFiltering ? `${left} of ${items.length} rules` : `${items.length} rule${items.length === 1 ? "" : "s"}`;
  };

  const reset = () => {
    for (const field of fields) field.value = "";
    filter();
  };
  text.addEventListener("input", filter);
  if ("requestIdleCallback" in window) requestIdleCallback(gather);
  for (const field of [severity, verdict, waiver]) field.addEventListener("change", filter);
  clear.addEventListener("click", () => {
    reset();
    text.focus();
  });
  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    unfold.setAttribute("aria-pressed", String(open));
    for (const item of items) if (!item.hidden || !open) item.firstElementChild.open = open;
  });
  byId("filter").hidden = false;
  byId("filter").parentElement.classList.add("filterable");
  // A browser that comes back to the page may bring the fields' old values along.
  reset();

  // Deep links: by the rule's id, in full or in short, or by any id under its references.
  const named = (name) => {
    const exact = byId(name) || byId(`xccdf_org.ssgproject.content_rule_${name}`);
    if (exact) return exact;
    const query = name.toLowerCase();
    const match = items.find((item) => all(".refs dd", item).some((id) => id.textContent.toLowerCase().split(", ").includes(query)));
    return match ? match.querySelector("summary") : null;
  };
  const decoded = (hash) => {
    try {
      return decodeURIComponent(hash);
    } catch {
      return hash;
    }
  };
  const follow = () => {
    const name = decoded(location.hash.slice(1));
    const target = name ? named(name) : null;
    if (!target) return;
    if (target.closest("[hidden]")) reset();
    for (let part = target; part; part = part.parentElement) if (part.localName === "details") part.open = true;
    show(target, 3);
  };
  // Rows that come into view get their real heights, and move the target for a frame or two.
  const show = (target, frames) => {
    target.scrollIntoView({ behavior: "instant", block: "start" });
    if (frames) requestAnimationFrame(() => show(target, frames - 1));
    else if (target.localName === "summary") target.focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  // Also for a link to where one already is: no hashchange comes then.
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) follow();
  });
  follow();

  // Print: for browsers whose style sheets cannot open what is folded.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.group, #open li:not(.waived) > .rule, .compatibility .act details, .printed").filter((part) => !part.open);
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
  });
})();
