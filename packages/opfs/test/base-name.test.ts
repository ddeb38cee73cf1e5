/**
 * What a name in an image means: which file, in which format, and what is refused. qemu-img says what is read by some
 * of them.
 */
import { describe, expect, test } from 'vitest';
import { QemuFolder } from '../../core/test/support/qemu.js';
import { baseName, namedFile } from '../src/protocol/base-name.js';

test.each([
  ['base.qcow2', 'base.qcow2'],
  ['/images/base.qcow2', 'base.qcow2'],
  ['../images/a?b#c%20d', 'a?b#c%20d'],
  ['C:\\images\\base.qcow2', 'base.qcow2'],
  ['file:base.qcow2', 'base.qcow2'],
  ['file:///images/base%20.qcow2', 'base%20.qcow2'],
  ['./nbd:base', 'nbd:base'],
  ['my:disk', 'my:disk'],
  ['https://host/images/base.qcow2', 'base.qcow2'],
  ['https://host/b.qcow2?sig=a/b', 'b.qcow2'],
  ['https://host/b.qcow2#/c', 'b.qcow2'],
  ['https://host?x=/b.qcow2', ''],
  ['https://host', ''],
  ['HTTP://host/my%20disk.qcow2', 'my disk.qcow2'],
  ['https://host/a%2Fb.qcow2', 'a%2Fb.qcow2'],
  ['https://host/b%ff.qcow2', 'b%ff.qcow2'],
  ['https://host/100%', '100%'],
  ['ssh://host/images/base.qcow2?host_key_check=no', 'base.qcow2'],
  ['nbd://host/base.qcow2', 'nbd://host/base.qcow2'],
  ['nbd:host:10809:exportname=base', 'nbd:host:10809:exportname=base'],
  ['nbd+unix:///base?socket=/run/s', 'nbd+unix:///base?socket=/run/s'],
  ['fat:rw:dir', 'fat:rw:dir'],
  ['rbd:pool/base', 'rbd:pool/base'],
  ['host_device:/dev/base', 'host_device:/dev/base'],
  ['blkdebug:conf:base', 'blkdebug:conf:base'],
])('%j refers to %j', (name, base) => {
  expect(baseName(name)).toBe(base);
});

const base = '"file":{"driver":"file","filename":"dir/base.img"}';

describe('a description', () => {
  test.each<[string, string, 'raw' | 'qcow2' | undefined]>([
    [`{"driver":"qcow2",${base}}`, 'base.img', 'qcow2'],
    [`{"driver":"raw",${base}}`, 'base.img', 'raw'],
    [`{"driver":"raw","file":{"driver":"raw",${base}}}`, 'base.img', 'raw'],
    [`{"driver":"raw","offset":0,${base}}`, 'base.img', 'raw'],
    ['{"driver":"file","filename":"base.img"}', 'base.img', 'raw'],
    ['{"driver":"file","filename":"nbd:base"}', 'nbd:base', 'raw'],
    ['{"driver":"qcow2","file.driver":"file","file.filename":"a/base.img"}', 'base.img', 'qcow2'],
    [`{"node-name":"a","read-only":true,"cache":{"direct":true},${base}}`, 'base.img', undefined],
    ["{'driver':'qcow2','file':{'filename':'it\\'s \"here\"'}}", 'it\'s "here"', 'qcow2'],
    ['{"driver":"https","url":"https://h/b.qcow2?sig=a/b"}', 'b.qcow2', 'raw'],
    ['{"driver":"qcow2","file":{"driver":"http","url":"http://h/b%20c"}}', 'b c', 'qcow2'],
    ['{}', 'json:{}', undefined],
    ['oops', 'json:oops', undefined],
  ])('%s refers to %j', (json, name, format) => {
    expect(namedFile(`json:${json}`)).toEqual(format === undefined ? { name } : { name, format });
  });

  test.each([
    [`{"driver":"raw","offset":1048576,${base}}`, 'offset'],
    [`{"driver":"raw","size":512,${base}}`, 'size'],
    [`{"driver":"raw","size":0,${base}}`, 'size'],
    [`{"driver":"qcow2","file":{"driver":"raw","offset":512,${base}}}`, 'file.offset'],
    [`{"driver":"qcow2","file.offset":512,${base}}`, 'file.offset'],
    [`{"driver":"qcow2","backing":null,${base}}`, 'backing'],
    [`{"driver":"qcow2","backing":{"driver":"file","filename":"x"},${base}}`, 'backing.driver'],
    [`{"driver":"qcow2","data-file":{"driver":"file","filename":"x"},${base}}`, 'data-file.driver'],
    [`{"driver":"qcow2","encrypt":{"key-secret":"s"},${base}}`, 'encrypt.key-secret'],
    [`{"driver":"luks","key-secret":"s",${base}}`, 'driver'],
    [`{"driver":"raw","file":{"driver":"qcow2",${base}}}`, 'file.driver'],
    ['{"driver":"nbd","host":"h","export":"base.img"}', 'driver'],
    ['{"driver":"vvfat","dir":"base.img"}', 'driver'],
    ['{"driver":"quorum","children":[{"filename":"base.img"}]}', 'driver'],
    [`{"driver":"raw","snapshot":true,${base}}`, 'snapshot'],
    ['{"driver":"qcow2","file":"node0"}', 'file'],
    ['{"filename":"a","file.filename":"b"}', 'file.filename'],
    ['{"driver":"qcow2","file.filename":"nbd:base"}', 'file.filename'],
    ['{"filename":7}', 'filename'],
    ["{'driver':'raw','offset':'1M','file':{'driver':'file','filename':'base.img'}}", 'offset'],
  ])('%s is refused for its option %s', (json, option) => {
    const name = `json:${json}`;
    const details = expect.objectContaining({ name, option });
    const error = expect.objectContaining({ name: 'Qcow2Error', code: 'unsupported', details });
    expect(() => baseName(name)).toThrow(error);
    expect(() => baseName(name)).toThrow(JSON.stringify(option));
  });
});

describe('qemu-img', () => {
  const folder = new QemuFolder('opfs-names');
  const disk = (byte: number) => new Uint8Array(65_536).fill(byte);

  // Each file holds its own byte; the one that a name means must be the one that QEMU reads.
  test.each([
    ['json:{"driver":"raw","file":{"driver":"file","filename":"b.raw"}}', 'b.raw'],
    ["json:{'driver':'raw','file':{'driver':'file','filename':'b.raw'}}", 'b.raw'],
    ['json:{"driver":"raw","file":{"driver":"file","filename":"file:b.raw"}}', 'file:b.raw'],
    ['file:b%20.raw', 'b%20.raw'],
    ['./file:b.raw', 'file:b.raw'],
    ['file:file:b.raw', 'file:b.raw'],
  ])('reads for %s the file %s', (name, own) => {
    ['b.raw', 'file:b.raw', 'b%20.raw', 'b .raw'].forEach((file, index) => {
      folder.put(file, disk(index + 1));
    });
    const at = { 'b.raw': 1, 'file:b.raw': 2, 'b%20.raw': 3, 'b .raw': 4 }[own];
    folder.img('create', '-q', '-f', 'qcow2', '-b', name, '-F', 'raw', 'top.qcow2', '65536');
    expect(folder.raw('top.qcow2')[0]).toBe(at);
    expect(baseName(name)).toBe(own);
  });

  test('reads other bytes with an offset', () => {
    folder.put('shifted.raw', new Uint8Array([...disk(1), ...disk(2)]));
    const name = 'json:{"driver":"raw","offset":65536,"file":{"driver":"file","filename":"shifted.raw"}}';
    folder.img('create', '-q', '-f', 'qcow2', '-b', name, '-F', 'raw', 'top.qcow2', '65536');
    expect(folder.raw('top.qcow2')[0]).toBe(2);
    expect(() => baseName(name)).toThrow('offset');
  });
});
