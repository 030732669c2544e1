// Colours for SQL: a scanner by PostgreSQL's rules for tokens (manual, 4.1), and spans made of text, never of markup.
(() => {
  "use strict";
  const KEYWORDS = new Set(
    ("all and any array as asc between both by case cast collate cross current_date current_timestamp desc distinct " +
      "else end except exists extract false fetch filter first following for from full group grouping having ilike in inner " +
      "intersect interval into is isnull join last lateral leading left like limit materialized natural not notnull null nulls offset on " +
      "only or order outer over partition preceding range recursive right rollup row rows select set sets similar some " +
      "table tablesample then to trailing true unbounded union unique using values when where window with within " +
      "insert update delete create drop alter explain analyze show begin commit rollback prepare execute declare copy").split(" "),
  );
  const TOKEN = new RegExp(
    [
      "(?<c>--[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$))",
      "(?<s>[eE]'(?:[^'\\\\]|''|\\\\[\\s\\S])*(?:'|$)|'(?:[^']|'')*(?:'|$)|\\$(?<tag>[A-Za-z_]*)\\$[\\s\\S]*?(?:\\$\\k<tag>\\$|$))",
      '(?<q>"(?:[^"]|"")*(?:"|$))',
      "(?<n>\\b\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?\\b)",
      "(?<w>[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*)",
    ].join("|"),
    "g",
  );

  function coloured(text) {
    const made = document.createDocumentFragment();
    let at = 0;
    for (const match of text.matchAll(TOKEN)) {
      const kinds = match.groups;
      const kind = kinds.c ? "c" : kinds.s ? "s" : kinds.n ? "n" : kinds.w && KEYWORDS.has(kinds.w.toLowerCase()) ? "k" : "";
      if (!kind) continue;
      made.append(text.slice(at, match.index));
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = match[0];
      made.append(span);
      at = match.index + match[0].length;
    }
    made.append(text.slice(at));
    return made;
  }

  for (const code of document.querySelectorAll("pre.sql code")) code.replaceChildren(coloured(code.textContent));

  for (const editor of document.querySelectorAll(".editor")) {
    const area = editor.querySelector("textarea");
    const below = document.createElement("pre");
    below.className = "sql";
    below.setAttribute("aria-hidden", "true");
    editor.prepend(below);
    editor.classList.add("lit");
    const draw = () => {
      // A line's end at the end takes a line of its own only where something stands behind it.
      below.replaceChildren(coloured(area.value), "\u200b");
      area.style.height = "auto";
      area.style.height = `${Math.min(area.scrollHeight + 2, 640)}px`;
      below.style.height = area.style.height;
      follow();
    };
    const follow = () => {
      below.scrollTop = area.scrollTop;
    };
    area.addEventListener("input", draw);
    area.addEventListener("scroll", follow);
    draw();
  }
})();
