/** What an image says of itself: plain values out of the header and the open layers. */

import type { FeatureInfo, HeaderInfo, ImageInfo, ImageSummary, LayerInfo } from '../api/info.js';
import type { Layer, Qcow2Layer } from '../engine/layer/layer.js';
import type { FirstCluster } from '../engine/layer/metadata.js';
import { extensionName, type FeatureName, KNOWN_FEATURES } from '../format/extensions.js';
import type { Geometry } from '../format/geometry.js';
import { AUTOCLEAR, COMPATIBLE, COMPRESSION_TYPE, CRYPT_METHOD, type Header, INCOMPATIBLE } from '../format/header.js';

const FEATURE_KINDS = ['incompatible', 'compatible', 'autoclear'] as const;

/** Where what the header says is taken from. */
interface SummaryParts extends Pick<FirstCluster, 'header' | 'extensions' | 'featureNames'> {
  readonly geometry: Geometry;
  readonly virtualSize: number;
  readonly fileSize: number;
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  readonly dataFile: string | undefined;
}

/** What an image says of itself in its header. */
export function summaryOf(parts: SummaryParts): ImageSummary {
  const { header, geometry, extensions } = parts;
  const { incompatibleFeatures, compatibleFeatures, autoclearFeatures } = header;
  return {
    format: 'qcow2',
    version: header.version,
    compat: header.version === 2 ? '0.10' : '1.1',
    virtualSize: parts.virtualSize,
    fileSize: parts.fileSize,
    clusterSize: geometry.clusterSize,
    subclusterSize: geometry.subclusterSize,
    refcountBits: 2 ** header.refcountOrder,
    lazyRefcounts: compatibleFeatures.includes(COMPATIBLE.lazyRefcounts),
    compressionType: header.compressionType === COMPRESSION_TYPE.zstd ? 'zstd' : 'zlib',
    extendedL2: geometry.extendedL2,
    encryption: encryptionName(header.cryptMethod),
    dirty: incompatibleFeatures.includes(INCOMPATIBLE.dirty),
    corrupt: incompatibleFeatures.includes(INCOMPATIBLE.corrupt),
    backingFile: parts.backingFile,
    backingFormat: parts.backingFormat,
    dataFile: parts.dataFile,
    dataFileRaw: autoclearFeatures.includes(AUTOCLEAR.rawDataFile),
    header: headerInfo(header),
    features: featureInfos(parts),
    extensions: extensions.map(({ type, offset, data }) => ({
      type,
      name: extensionName(type),
      offset,
      length: data.length,
    })),
  };
}

/** Everything that is known of an open image without reading its tables. */
export function imageInfo(layer: Qcow2Layer): ImageInfo {
  const { header, extensions, featureNames, geometry, backingReference, dataReference, tableInfo } = layer;
  const summary = summaryOf({
    header,
    extensions,
    featureNames,
    geometry,
    virtualSize: layer.size,
    fileSize: layer.source.size,
    backingFile: backingReference?.name,
    backingFormat: backingReference?.format,
    dataFile: dataReference?.name || undefined,
  });
  return {
    ...summary,
    luks: layer.luks,
    snapshots: tableInfo?.snapshotInfos(layer.snapshots) ?? [],
    bitmaps: tableInfo?.bitmapInfos(layer.bitmaps) ?? [],
    chain: chainOf(layer),
  };
}

function encryptionName(method: number): ImageInfo['encryption'] {
  if (method === CRYPT_METHOD.none) return undefined;
  return method === CRYPT_METHOD.aes ? 'aes' : 'luks';
}

function headerInfo(header: Header): HeaderInfo {
  return {
    headerLength: header.headerLength,
    l1TableOffset: header.l1TableOffset,
    l1Entries: header.l1Size,
    refcountTableOffset: header.refcountTableOffset,
    refcountTableClusters: header.refcountTableClusters,
    snapshotsOffset: header.snapshotsOffset,
    backingFileOffset: header.backingFileOffset,
  };
}

function featureInfos({ header, featureNames }: Pick<FirstCluster, 'header' | 'featureNames'>): FeatureInfo[] {
  const fields = [header.incompatibleFeatures, header.compatibleFeatures, header.autoclearFeatures];
  return FEATURE_KINDS.flatMap((kind, index) =>
    fields[index]!.map((bit) => {
      const nameIn = (names: readonly FeatureName[]) =>
        names.find((entry) => entry.kind === index && entry.bit === bit)?.name;
      const known = nameIn(KNOWN_FEATURES);
      return { kind, bit, name: known ?? nameIn(featureNames), known: known !== undefined };
    }),
  );
}

/** The files of the chain, up to one that was not provided if there is one. */
function chainOf(top: Qcow2Layer): LayerInfo[] {
  const chain: LayerInfo[] = [];
  let layer: Layer | undefined = top;
  let name: string | undefined;
  while (layer !== undefined) {
    const data: LayerInfo['dataFile'] =
      layer.kind === 'qcow2' && layer.dataReference !== null
        ? { name: layer.dataReference.name || undefined, missing: layer.data === null }
        : undefined;
    chain.push({
      depth: layer.depth,
      name,
      format: layer.kind,
      virtualSize: layer.size,
      missing: false,
      dataFile: data,
    });
    if (layer.kind === 'raw' || layer.backingReference === null) break;
    const { backingReference, backing }: Qcow2Layer = layer;
    name = backingReference.name;
    if (backing === null) {
      chain.push({ depth: layer.depth + 1, name, format: backingReference.format, missing: true });
    }
    layer = backing?.layer;
  }
  return chain;
}
