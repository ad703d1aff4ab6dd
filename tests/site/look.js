// What is wrong with the page as it is drawn: pictures that are missing, code that sticks out, text that is hard to read.
() => {
  const found = [];

  for (const image of document.images)
    if (!image.complete || image.naturalWidth === 0) found.push(`no picture at ${image.getAttribute("src")}`);

  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth + 1) found.push(`the page is ${root.scrollWidth} wide, the window ${window.innerWidth}`);

  // Code may scroll in a box of its own; on a wide window blocks have to fit. Four pixels are the padding of code in a line.
  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const short = (text) => text.trim().replace(/\s+/g, " ").slice(0, 60);
  for (const code of document.querySelectorAll("code")) {
    const rect = code.getBoundingClientRect();
    if (rect.width === 0) continue;
    let box = code;
    while (box && !scrolls(box)) box = box.parentElement;
    if (box) {
      if (window.innerWidth > 1000 && code.closest("pre") && !code.closest("details") && box.scrollWidth > box.clientWidth + 1)
        found.push(`code has to be scrolled: ${short(code.textContent)}`);
      continue;
    }
    let holder = code.parentElement;
    while (getComputedStyle(holder).display === "inline") holder = holder.parentElement;
    if (rect.right > holder.getBoundingClientRect().right + 4) found.push(`code sticks out: ${short(code.textContent)}`);
  }

  // Contrast as the Web Content Accessibility Guidelines have it: 4.5, and 3 for large text.
  const parse = (colour) => {
    const canvas = (parse.canvas ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }));
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const background = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const shown = (element) => {
    const rect = element.getBoundingClientRect();
    return rect.width > 1 && rect.height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    const element = texts.currentNode.parentElement;
    if (!text || ["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE"].includes(element.tagName) || !shown(element)) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    const under = background(element);
    const contrast = ratio(over(parse(style.color), under), under);
    if (contrast < (large ? 3 : 4.5)) found.push(`too little contrast (${contrast.toFixed(1)}): ${short(text)}`);
  }
  return found;
}
