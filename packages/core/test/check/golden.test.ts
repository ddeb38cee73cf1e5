/** The check of every golden image, against what `qemu-img check` says of it. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Qcow2Image } from '../../src/index.js';
import { type Golden, loadGolden } from '../golden/golden.js';
import { asQemuChecks, qemuChecks } from '../support/qemu-check.js';

/** An encrypted image is checked with its passphrase, which qemu-img wants though the check needs none. */
function arguments_({ file, info }: Golden): string[] {
  if (info['format-specific'].data.encrypt === undefined) return ['-f', 'qcow2', basename(file)];
  const key = ['--object', 'secret,id=key,data=golden'];
  return [...key, '--image-opts', `driver=qcow2,file.filename=${basename(file)},encrypt.key-secret=key`];
}

describe.each(loadGolden())('$name', (golden) => {
  test('has the figures of qemu-img, and nothing beyond them, however deep the check', async () => {
    const expected = qemuChecks(golden.folder, golden.file, arguments_(golden));
    await using image = await Qcow2Image.open(new Uint8Array(readFileSync(golden.file)));
    const report = await image.check({ deep: true });
    expect(asQemuChecks(report)).toEqual(expected);
    expect(report.extra).toBe(0);
  });
});
