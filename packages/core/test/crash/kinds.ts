/** Every kind of image that crash workloads begin with. */
import { DISK_KINDS, type DiskKind } from './disks.js';
import { PRODUCT_KINDS } from './products.js';

/** Those with something of their own, and the products of features. */
export const ALL_KINDS: readonly DiskKind[] = [...DISK_KINDS, ...PRODUCT_KINDS];
