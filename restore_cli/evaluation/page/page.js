"use strict";

// A viewer shows two pictures of a stack, the right one cut off at the divider. Where the stack lies is kept in
// shares of the stage, so that it stays put when the window changes: left upper corner (x, y) and zoom.
function startViewer(viewer) {
  const stage = viewer.querySelector(".stage");
  const split = viewer.querySelector(".split");
  const pictures = [...stage.querySelectorAll("img")];
  const percent = viewer.querySelector("output");
  const largestZoom = 64;
  const view = { x: 0, y: 0, zoom: 1 };

  // CSS pixels a pixel of the picture at zoom 1.
  const fit = () => stage.clientWidth / Number(stage.dataset.width);
  const smallestZoom = () => Math.min(1, 1 / (fit() * devicePixelRatio));

  function draw() {
    view.zoom = Math.min(Math.max(view.zoom, smallestZoom()), largestZoom);
    const room = 1 - view.zoom;
    for (const axis of ["x", "y"]) {
      view[axis] = room >= 0 ? room / 2 : Math.min(0, Math.max(room, view[axis]));
    }
    const share = split.value / 100;
    stage.style.setProperty("--x", `${view.x * stage.clientWidth}px`);
    stage.style.setProperty("--y", `${view.y * stage.clientHeight}px`);
    stage.style.setProperty("--z", view.zoom);
    stage.style.setProperty("--split", share);
    stage.style.setProperty("--clip", `${((share - view.x) / view.zoom) * 100}%`);
    stage.classList.toggle("zoomed", view.zoom > 1);
    percent.value = `${Math.round(fit() * view.zoom * devicePixelRatio * 100)} %`;
    split.setAttribute("aria-valuetext", `${Math.round(100 * share)} % ${name("left")}, the rest ${name("right")}`);
    for (const picture of pictures) {
      // Squares once a pixel is large enough to be looked at; until then smooth.
      const size = (stage.clientWidth * view.zoom * devicePixelRatio) / (picture.naturalWidth || Infinity);
      picture.classList.toggle("coarse", size >= 2.5);
    }
  }

  function name(side) {
    const choice = viewer.querySelector(`[data-side=${side}]`);
    return choice.options[choice.selectedIndex].text;
  }

  function show(side) {
    const choice = viewer.querySelector(`[data-side=${side}]`);
    pictures.forEach((picture, index) => picture.classList.toggle(`on-${side}`, index === Number(choice.value)));
    const tag = stage.querySelector(`.tag-${side}`);
    const detail = document.createElement("small");
    detail.textContent = pictures[choice.value].dataset.detail;
    tag.replaceChildren(pictures[choice.value].dataset.name, detail);
    draw();
  }

  // The point under (x, y), in shares of the stage, stays where it is.
  function zoomTo(zoom, x = 0.5, y = 0.5) {
    zoom = Math.min(Math.max(zoom, smallestZoom()), largestZoom);
    const factor = zoom / view.zoom;
    Object.assign(view, { x: x - (x - view.x) * factor, y: y - (y - view.y) * factor, zoom });
    draw();
  }

  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  };

  // Touch and mouse: one pointer moves the divider or the picture, two zoom.
  const pointers = new Map();
  let drag = null;

  const spread = () => {
    const [first, second] = [...pointers.values()];
    return {
      x: (first.x + second.x) / 2,
      y: (first.y + second.y) / 2,
      distance: Math.hypot((first.x - second.x) * stage.clientWidth, (first.y - second.y) * stage.clientHeight),
    };
  };

  stage.addEventListener("mousedown", (event) => event.preventDefault()); // which would take the focus away
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const at = place(event);
    pointers.set(event.pointerId, at);
    stage.setPointerCapture(event.pointerId);
    split.focus({ preventScroll: true });
    const nearDivider = Math.abs(at.x - split.value / 100) * stage.clientWidth < 24;
    drag = pointers.size === 2 ? "zoom" : view.zoom > 1 && !nearDivider ? "picture" : "divider";
    if (drag === "divider") moveDivider(at.x);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const at = place(event);
    const before = pointers.size === 2 ? spread() : pointers.get(event.pointerId);
    pointers.set(event.pointerId, at);
    if (drag === "divider") moveDivider(at.x);
    if (drag === "picture" && pointers.size === 1) pan(at.x - before.x, at.y - before.y);
    if (drag === "zoom" && pointers.size === 2) {
      const after = spread();
      pan(after.x - before.x, after.y - before.y);
      zoomTo((view.zoom * after.distance) / Math.max(before.distance, 1), after.x, after.y);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      if (drag === "zoom") drag = "picture";
      if (!pointers.size) drag = null;
    });
  }

  function pan(x, y) {
    view.x += x;
    view.y += y;
    draw();
  }
  function moveDivider(x) {
    split.value = 100 * x;
    draw();
  }

  // The wheel scrolls the page, until the viewer has been clicked on; pinching a touchpad is a wheel with Ctrl.
  stage.addEventListener(
    "wheel",
    (event) => {
      const meant = event.ctrlKey || event.metaKey || stage.contains(document.activeElement);
      const atEnd = event.deltaY > 0 && view.zoom <= smallestZoom();
      if (!meant || (atEnd && !event.ctrlKey)) return;
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      const at = place(event);
      zoomTo(view.zoom * Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)), at.x, at.y);
    },
    { passive: false },
  );

  const steps = {
    in: () => zoomTo(view.zoom * 1.5),
    out: () => zoomTo(view.zoom / 1.5),
    fit: () => zoomTo(1),
    pixels: () => zoomTo(1 / (fit() * devicePixelRatio)),
    full: () => (document.fullscreenElement ? document.exitFullscreen() : viewer.requestFullscreen()),
  };
  for (const button of viewer.querySelectorAll("[data-step]")) {
    button.addEventListener("click", steps[button.dataset.step]);
    if (button.dataset.step === "full") button.hidden = !document.fullscreenEnabled;
  }
  split.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [0.05, 0], ArrowRight: [-0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] };
    const key = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "pixels" }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key) steps[key]();
    else if (event.shiftKey && moves[event.key]) pan(...moves[event.key]);
    else return;
    event.preventDefault();
  });
  split.addEventListener("input", draw);
  for (const side of ["left", "right"]) {
    viewer.querySelector(`[data-side=${side}]`).addEventListener("change", () => show(side));
  }
  for (const picture of pictures) picture.addEventListener("load", draw);
  new ResizeObserver(draw).observe(stage);
  for (const side of ["left", "right"]) show(side); // a browser that goes back remembers the choice
}

// A click on a heading sorts by that column: text upwards first, numbers downwards; rows without a value stay last.
function startTable(table) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll(".sort")) {
    const heading = button.closest("th");
    button.addEventListener("click", () => {
      const column = Number(heading.dataset.column);
      const isText = heading.classList.contains("text");
      const before = heading.getAttribute("aria-sort");
      const order = before ? (before === "ascending" ? -1 : 1) : isText ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value ?? "";
      const compare = (first, second) => {
        const [a, b] = [value(first), value(second)];
        if (a === "" || b === "") return (a === "") - (b === "");
        // Equal infinities, too, are equal.
        return order * (isText ? a.localeCompare(b, undefined, { numeric: true }) : a === b ? 0 : a - b);
      };
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order > 0 ? "ascending" : "descending");
      body.append(...[...body.rows].sort(compare));
    });
  }
}

document.querySelectorAll(".viewer").forEach(startViewer);
document.querySelectorAll("table.sortable").forEach(startTable);
