// The little that the pages do by themselves: stages as they pass, copying, Ctrl+Enter. All else is links and forms.
(() => {
  "use strict";
  const WORDS = {
    linking: "Looking for the tables",
    model: "The model is writing SQL",
    checks: "Checking the SQL against the policy and the database",
    running: "Running",
  };

  const box = document.querySelector("[data-events]");
  if (box) {
    const now = box.querySelector("[data-now]");
    const source = new EventSource(box.dataset.events);
    const leave = () => {
      source.close();
      sessionStorage.setItem("answer", box.dataset.done);
      location.replace(box.dataset.done);
    };
    source.addEventListener("stage", (event) => {
      const { stage } = JSON.parse(event.data);
      for (const step of box.querySelectorAll("[data-stage]")) {
        if (step.dataset.stage === stage) step.setAttribute("aria-current", "step");
        else if (step.hasAttribute("aria-current")) {
          step.removeAttribute("aria-current");
          step.dataset.past = "";
        }
      }
      now.textContent = WORDS[stage] || stage;
    });
    source.addEventListener("done", leave);
    source.addEventListener("error", () => {
      // Signed out, or the console is gone: the page itself says which.
      if (source.readyState === EventSource.CLOSED) leave();
    });
  } else if (sessionStorage.getItem("answer") === location.pathname) {
    sessionStorage.removeItem("answer");
    const head = document.getElementById("answer-head");
    if (head && (!document.activeElement || document.activeElement === document.body)) head.focus();
  }

  for (const form of document.querySelectorAll("[data-keys]")) {
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        form.requestSubmit(form.querySelector("button[type=submit]"));
      }
    });
  }

  if (navigator.clipboard) {
    const said = document.querySelector("[data-copied]");
    const copy = async (text, button) => {
      await navigator.clipboard.writeText(text);
      if (said) said.textContent = "Copied.";
      const words = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = words;
      }, 1500);
    };
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(document.querySelector(button.dataset.copy).value, button));
    }
    for (const button of document.querySelectorAll("[data-copy-from]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const answer = await fetch(button.dataset.copyFrom);
        if (answer.ok) await copy(await answer.text(), button);
        else if (said) said.textContent = "It could not be copied: load the page again.";
      });
    }
  }
})();
