/** Reads an image in Node, from the same packages: prints the SHA-256 of the guest's bytes. */
import { createHash } from 'node:crypto';
import { Qcow2Image } from 'qcow2';
import { fileSource } from 'qcow2/node';

const image = await Qcow2Image.open(fileSource(process.argv[2]));
const bytes = new Uint8Array(image.size);
await image.read(0, bytes);
console.log(createHash('sha256').update(bytes).digest('hex'));
