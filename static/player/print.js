// The print button of pages that are made for paper. Without scripts the browser's own menu does the same.

for (const button of document.querySelectorAll("[data-print]")) {
  button.removeAttribute("hidden");
  button.addEventListener("click", () => window.print());
}
