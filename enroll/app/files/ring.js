// The ring of ten segments around the code: each is a tenth of the period, blue while it remains,
// grey once it has passed, clockwise from the top.

const count = 10;
const gap = 5; // degrees between segments
const radius = 110;
const centre = 120;

// draw puts the segments into an SVG group.
export function draw(group) {
  for (let i = 0; i < count; i++) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const from = point((360 / count) * i + gap / 2);
    const to = point((360 / count) * (i + 1) - gap / 2);
    path.setAttribute("d", `M${from}A${radius} ${radius} 0 0 1 ${to}`);
    group.append(path);
  }
}

// show colours the segments for a moment: elapsed of period, in the same unit.
export function show(group, elapsed, period) {
  const passed = Math.floor((elapsed * count) / period);
  [...group.children].forEach((path, i) => path.classList.toggle("passed", i < passed));
}

function point(degrees) {
  const a = ((degrees - 90) * Math.PI) / 180;
  return `${(centre + radius * Math.cos(a)).toFixed(2)} ${(centre + radius * Math.sin(a)).toFixed(2)}`;
}
