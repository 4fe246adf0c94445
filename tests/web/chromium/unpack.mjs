// Unpacks the package's browser, its shared libraries and a font beside the package.
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inflate } from "@sparticuz/chromium";

const modules = join(import.meta.dirname, "node_modules");
const packed = join(modules, "@sparticuz/chromium/bin");
const unpacking = join(modules, ".unpacking");

rmSync(unpacking, { recursive: true, force: true });
mkdirSync(unpacking);
process.env.TMPDIR = unpacking; // where the package unpacks to
for (const part of ["chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"]) {
  await inflate(join(packed, part));
}
renameSync(unpacking, join(modules, ".unpacked"));
