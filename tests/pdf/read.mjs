// What does pdf.js, the reader of Firefox, see in a document? Prints it as JSON; the key comes by standard input.
//
//     node read.mjs FOLDER FILE        FOLDER has node_modules with pdfjs-dist
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const place = `${folder}/node_modules/pdfjs-dist/`;
console.log = console.warn = () => {}; // it tells of what it misses to draw, which nobody asks for here
const { getDocument, VerbosityLevel } = await import(pathToFileURL(`${place}legacy/build/pdf.mjs`));
const said = { pages: [], links: [], roles: [], alternatives: [] };
try {
  const pdf = await getDocument({
    data: new Uint8Array(readFileSync(file)), password: readFileSync(0, "utf8"), isEvalSupported: false,
    standardFontDataUrl: `${place}standard_fonts/`, verbosity: VerbosityLevel.ERRORS,
  }).promise;
  const walk = (node) => {
    if (!node) return;
    if (node.role) said.roles.push(node.role);
    if (node.alt !== undefined) said.alternatives.push(node.alt);
    (node.children || []).forEach(walk);
  };
  for (let number = 1; number <= pdf.numPages; number++) {
    const page = await pdf.getPage(number);
    said.pages.push((await page.getTextContent()).items.map((each) => each.str + (each.hasEOL ? "\n" : "")).join(""));
    said.links.push(...(await page.getAnnotations()).map((each) => each.url).filter(Boolean));
    walk(await page.getStructTree());
    await page.getOperatorList(); // all that would be drawn can be read
  }
  said.files = Object.values((await pdf.getAttachments()) || {}).map((each) => [each.filename, each.content.length]);
  const { info, metadata } = await pdf.getMetadata();
  said.title = info.Title;
  said.language = info.Language;
  said.about = JSON.stringify([info, metadata ? metadata.getAll() : null]);
  said.tagged = Boolean((await pdf.getMarkInfo())?.Marked);
  said.outline = ((await pdf.getOutline()) || []).map((each) => each.title);
  said.scripts = (await pdf.getJSActions()) ?? null;
} catch (error) {
  said.error = error.name;
}
process.stdout.write(JSON.stringify(said));
