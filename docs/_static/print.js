// Paper cannot be unfolded: while a page is printed, hints are open, and solutions stand at the end.

const moved = []; // [details, comment that marks its place]
let opened = [];

function beforePrint() {
  const article = document.querySelector("article.bd-article");
  if (!article || moved.length) return;
  const all = [...article.querySelectorAll("details")];
  const solutions = all.filter(
    (details) => details.querySelector("summary")?.textContent.trim() === "Solution",
  );
  const chapter = document.createElement("section");
  chapter.className = "solutions";
  chapter.append(heading("h2", "Solutions"));
  for (const details of solutions) {
    const place = document.createComment("a solution");
    details.before(place);
    moved.push([details, place]);
    const section = details.closest("section");
    const title = section?.querySelector("h1, h2, h3, h4")?.firstChild.textContent;
    chapter.append(heading("h3", title ?? "Solution"), details);
  }
  if (moved.length) article.append(chapter);
  opened = all.filter((details) => !details.open);
  for (const details of opened) details.open = true;
}

function afterPrint() {
  for (const [details, place] of moved) place.replaceWith(details);
  moved.length = 0;
  for (const details of opened) details.open = false;
  opened = [];
  document.querySelector("section.solutions")?.remove();
}

function heading(level, text) {
  const element = document.createElement(level);
  element.textContent = text;
  return element;
}

window.addEventListener("beforeprint", beforePrint);
window.addEventListener("afterprint", afterPrint);
