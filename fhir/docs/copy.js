for (const sample of document.querySelectorAll(".sample")) {
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy: " + sample.querySelector("pre").getAttribute("aria-label"));
  button.addEventListener("click", async () => {
    const text = sample.querySelector("code");
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  sample.append(button);
}
const contents = document.querySelector(".side details");
if (matchMedia("(max-width: 60rem)").matches) contents.open = false;
