/** The cache of inflated clusters: the one that was used longest ago is dropped first. */
import { describe, expect, it } from 'vitest';
import { ClusterCache } from '../../src/engine/layer/cluster-cache.js';

const MIB = 1024 * 1024;
const cluster = (value: number): Uint8Array => Uint8Array.of(value);

/** Which of these host offsets are in the cache; looking changes the order, so this comes last. */
const kept = (cache: ClusterCache, hosts: readonly number[]): number[] => hosts.filter((host) => cache.get(host));

describe.each([
  ['at least two, whatever their size', 2 * MIB, 2],
  ['as many as fit 2 MiB', 256 * 1024, 8],
])('a cache of %s', (_, clusterSize, max) => {
  const hosts = Array.from({ length: max + 2 }, (_, index) => index * clusterSize);

  it('keeps clusters up to its budget', () => {
    const cache = new ClusterCache(clusterSize);
    expect(cache.get(0)).toBeUndefined();
    const clusters = hosts.map((_, index) => cluster(index));
    hosts.slice(0, max).forEach((host, index) => {
      cache.set(host, clusters[index]!);
    });
    hosts.slice(0, max).forEach((host, index) => {
      expect(cache.get(host)).toBe(clusters[index]);
    });
    for (const host of hosts.slice(max)) cache.set(host, cluster(0));
    expect(kept(cache, hosts)).toEqual(hosts.slice(2));
  });

  it('evicts the least recently read cluster', () => {
    const cache = new ClusterCache(clusterSize);
    for (const host of hosts.slice(0, max)) cache.set(host, cluster(1));
    cache.get(hosts[0]!);
    cache.set(hosts[max]!, cluster(1));
    expect(kept(cache, hosts.slice(0, 2))).toEqual([hosts[0]]);
  });

  it('evicts nothing for a cluster that is cached already, and counts it as used', () => {
    const cache = new ClusterCache(clusterSize);
    for (const host of hosts.slice(0, max)) cache.set(host, cluster(1));
    const again = cluster(2);
    cache.set(hosts[1]!, again);
    expect(kept(cache, hosts)).toEqual(hosts.slice(0, max));
    expect(cache.get(hosts[1]!)).toBe(again);
    cache.set(hosts[0]!, again);
    cache.set(hosts[max]!, again);
    expect(kept(cache, hosts)).toContain(hosts[0]);
  });
});
