import { Qcow2Error } from 'qcow2';
import { expect, describe as group, it } from 'vitest';
import { describe } from '../src/engine/problem.js';

function foreign(found: string | undefined): Qcow2Error {
  return new Qcow2Error('not-qcow2', 'This is not a qcow2 image.', { what: 'magic', at: 0, found });
}

group('problems', () => {
  it('name the format of a file of another kind, and give advice', () => {
    const vmdk = describe(foreign('a VMware disk (VMDK)'), 'a.vmdk');
    expect(vmdk.title).toBe('a.vmdk is not a qcow2 image: it is a VMware disk (VMDK).');
    expect(vmdk.advice).toContain('qemu-img convert');
    const archive = describe(foreign('a gzip archive; unpack it first'), 'a.gz');
    expect(archive.title).toBe('a.gz is not a qcow2 image: it is a gzip archive.');
    expect(archive.advice).toContain('Unpack it');
    expect(describe(foreign('an empty file'), 'a').advice).toContain('nothing in it');
    expect(describe(foreign(undefined), 'a').title).toBe('a is not a qcow2 image.');
  });

  it('give the cause of damage, and its offset in the details', () => {
    const error = new Qcow2Error('corrupt', 'L2 table 7 lies past the end of the file.', {
      what: 'L2 table 7',
      at: 0x50000,
    });
    const problem = describe(error, 'a.qcow2');
    expect(problem.title).toBe('a.qcow2 is damaged.');
    expect(problem.reason).toBe('L2 table 7 lies past the end of the file.');
    expect(problem.details).toContainEqual(['Code', 'corrupt']);
    expect(problem.details).toContainEqual(['Structure', 'L2 table 7']);
    expect(problem.details).toContainEqual(['Offset', '0x50000']);
  });

  it('name the file of the chain that has the error, not the image', () => {
    const error = new Qcow2Error('corrupt', 'Backing file "base": broken.', { layer: 1 });
    expect(describe(error, 'leaf.qcow2').title).toBe('A file that leaf.qcow2 is based on cannot be used.');
  });

  it('describe the error of a web server, and name the requested file', () => {
    const details = { what: 'HTTP response', at: 0, url: 'https://example.org/disks/base.raw' };
    const whole = describe(new Qcow2Error('unsupported', 'It would send the whole file.', details), 'leaf.qcow2');
    expect(whole.title).toBe('The server of base.raw does not support range requests.');
    expect(whole.reason).toBe('It would send the whole file.');
    const refused = describe(new Qcow2Error('io', 'Status 403.', { ...details, status: 403 }), 'leaf.qcow2');
    expect(refused.advice).toContain('no password and no cookies');
    const down = describe(new Qcow2Error('io', 'Status 503.', { ...details, status: 503 }), 'leaf.qcow2');
    expect(down.advice).toContain('try again later');
    expect(describe(new Qcow2Error('io', 'Failed to fetch.', details), 'a').advice).toContain('Check the address');
  });

  it('give lengths in words', () => {
    const none = new Qcow2Error('no-space', '1610612736 bytes are needed.', { needed: 1_610_612_736, available: 2048 });
    const full = describe(none, 'a.qcow2');
    expect(full.reason).toBe('1.5 GiB (1,610,612,736 bytes) are needed, and 2 KiB are free for this page.');
    expect(full.details).toContainEqual(['needed', '1.5 GiB (1,610,612,736 bytes)']);
    expect(full.details).toContainEqual(['available', '2 KiB (2,048 bytes)']);
    expect(describe(new Qcow2Error('no-space', 'The disk is full.'), 'a').reason).toBe('The disk is full.');
    const short = describe(new Qcow2Error('corrupt', 'Cut short.', { at: 0, fileSize: 65_536, magic: 65_536 }), 'a');
    expect(short.details).toContainEqual(['fileSize', '64 KiB (65,536 bytes)']);
    expect(short.details).toContainEqual(['magic', '65,536 (0x10000)']);
  });

  it('describe an unexpected error as a fault of the page', () => {
    const problem = describe(new TypeError('x is not a function'), 'a.qcow2');
    expect(problem.advice).toContain('a fault of this page');
    expect(problem.details).toEqual([['Message', 'TypeError: x is not a function']]);
  });

  it('describe an invalid name', () => {
    const named = describe(new RangeError('An image cannot be named "a": it is based on an image of that name.'), 'a');
    expect(named.title).toContain('it is based on an image of that name');
    expect(named.advice).toContain('another name');
    expect(describe(new RangeError('Invalid array length'), 'a').advice).toContain('a fault of this page');
  });

  it('describe why an image is locked', () => {
    const open = describe(new Qcow2Error('locked', '"a" is open in this or another tab.', { name: 'a' }), 'a');
    expect(open.title).toBe('a is in use here, or open in another tab.');
    expect(open.advice).toContain('Close it there');
    const base = describe(new Qcow2Error('locked', '"a" is the base of "b".', { name: 'a', overlays: ['b'] }), 'a');
    expect(base.title).toBe('a is the base of other images.');
    expect(base.reason).toBe('"a" is the base of "b".');
    expect(base.advice).toBe('Delete those first.');
    const taken = describe(new Qcow2Error('exists', 'There is an image of the name "a" already.'), 'a');
    expect(taken.advice).toContain('another name');
    expect(describe(new Qcow2Error('not-found', 'There is no image "a".'), 'a').title).toBe('a is not there any more.');
  });
});
