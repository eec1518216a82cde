"use strict";
const contains = (element, wanted) => element.textContent.toLowerCase().includes(wanted);

const heard = document.createElement("p");
heard.className = "heard";
heard.role = "status";
document.querySelector("footer").append(heard);
for (const block of document.querySelectorAll(".command")) {
  const button = block.querySelector("button");
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const command = block.querySelector("code");
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // Where the browser forbids it, the command is at least marked, ready for Ctrl-C.
      getSelection().selectAllChildren(command);
      button.textContent = "Marked";
    }
    heard.textContent = `${button.textContent}: ${command.textContent}`;
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}

const value = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replace(/^</, "").replaceAll(",", ""));
  if (!/^<?-?[0-9]/.test(text) || Number.isNaN(number)) return text.toLowerCase();
  // What a person reads as one measure is sorted as one: 12 ms before 1.2 s before 1 min 14 s.
  const [, minutes, seconds] = /^([0-9]+) min ([0-9]+) s$/.exec(text) ?? [];
  if (minutes) return minutes * 60 + Number(seconds);
  const unit = /^<?-?[0-9.,]+\s*(\S+)$/.exec(text)?.[1];
  return number * ({ ms: 1e-3, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[unit] ?? 1);
};
const order = (a, b) =>
  typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    if (body.rows.length < 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => order(value(a, column), value(b, column)));
      body.append(...(up ? rows : rows.reverse()));
    });
  });
}

for (const filter of document.querySelectorAll(".filter")) {
  filter.hidden = false;
  const rows = filter.parentElement.querySelector("tbody").rows;
  filter.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    let shown = 0;
    for (const row of rows) shown += !(row.hidden = !contains(row, wanted));
    filter.querySelector("[role=status]").textContent = wanted ? `${shown} of ${rows.length} rows` : "";
  });
}

const tools = document.querySelector(".tools");
if (tools) {
  tools.hidden = false;
  const findings = [...document.querySelectorAll(".finding")];
  const search = tools.querySelector("input");
  const kinds = [...tools.querySelectorAll("[data-kind]")];
  const choose = () => {
    const wanted = search.value.toLowerCase();
    const off = kinds.filter((one) => one.ariaPressed === "false").map((one) => one.dataset.kind);
    let shown = 0;
    for (const one of findings) {
      one.hidden = off.some((kind) => one.classList.contains(kind)) || !contains(one, wanted);
      shown += !one.hidden;
    }
    const all = shown === findings.length;
    tools.querySelector("[role=status]").textContent = all ? "" : `${shown} of ${findings.length} shown below`;
  };
  search.addEventListener("input", choose);
  for (const one of kinds)
    one.addEventListener("click", () => {
      one.ariaPressed = String(one.ariaPressed === "false");
      choose();
    });
  for (const one of tools.querySelectorAll("[data-all]"))
    one.addEventListener("click", () => {
      for (const finding of findings) {
        const part = finding.querySelector("details");
        if (part) part.open = one.dataset.all === "open";
      }
    });
}

const arrive = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const part = target?.matches(".finding") && target.querySelector("details");
  if (!part) return;
  target.hidden = false;
  part.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", arrive);
arrive();
