// The list of devices: a row each, with what can be done to it.
import { moment, word } from "./words.js";

// show fills the list. rename(device, label) and remove(device) do it, and return a text that says
// why not, or nothing.
export function show(list, devices, rename, remove) {
  list.replaceChildren(...devices.map((device) => row(device, rename, remove)));
}

// labelOf is what a device is called, though it may have no label.
export function labelOf(device) {
  return device.label || word("unnamed");
}

function row(device, rename, remove) {
  const item = document.getElementById("device").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  const label = labelOf(device);
  item.dataset.made = "";
  item.dataset.device = device.id;
  part(".label bdi").textContent = label;
  part(".since").append(time(device.created));
  part(".used").append(device.last_used ? time(device.last_used) : word("never"));
  part(".rename").setAttribute("aria-label", word("rename.of", { device: label }));
  part(".remove").setAttribute("aria-label", word("remove.of", { device: label }));
  part(".sure").textContent = word("remove.ask", { device: label });

  // One thing at a time: what can be done, or the step that was begun.
  const steps = { actions: part(".actions"), renaming: part(".renaming"), removing: part(".removing") };
  const go = (step, focus) => {
    for (const [name, element] of Object.entries(steps)) {
      element.hidden = name !== step;
    }
    part(".trouble").hidden = true;
    focus.focus();
  };
  const attempt = async (buttons, work) => {
    buttons.forEach((button) => { button.disabled = true; });
    part(".trouble").hidden = true;
    const trouble = await work();
    buttons.forEach((button) => { button.disabled = false; });
    part(".trouble").textContent = trouble || "";
    part(".trouble").hidden = !trouble;
  };

  const input = part(".renaming input");
  part(".rename").addEventListener("click", () => {
    input.value = device.label;
    go("renaming", input);
    input.select();
  });
  part(".remove").addEventListener("click", () => go("removing", part(".sure")));
  part(".renaming").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(steps.renaming.querySelectorAll("button"), () => rename(device, input.value.trim()));
  });
  part(".removing .danger").addEventListener("click", () => attempt(steps.removing.querySelectorAll("button"), () => remove(device)));
  part(".renaming .cancel").addEventListener("click", () => go("actions", part(".rename")));
  part(".removing .cancel").addEventListener("click", () => go("actions", part(".remove")));
  item.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && steps.actions.hidden) {
      go("actions", steps.renaming.hidden ? part(".remove") : part(".rename"));
    }
  });
  return item;
}

function time(text) {
  const element = document.createElement("time");
  element.dateTime = text;
  element.textContent = moment(new Date(text));
  return element;
}
