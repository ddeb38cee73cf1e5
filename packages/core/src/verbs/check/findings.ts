/** Collects the results of a check: the figures, and the findings, grouped by cause. */
import type { Fault, Finding, FindingPlace, Impact } from '../../api/check-report.js';
import { GuestRanges } from './guest-ranges.js';
import { guestOf, type Place, referenceOf, spanOf } from './place.js';
import { type SharedCluster, SharedClusters } from './shared-clusters.js';

/** The most places of a finding; its count includes all. */
const MAX_PLACES = 16;

/** Impacts, worst first. */
const IMPACTS: readonly Impact[] = ['data-missing', 'data-doubtful', 'bookkeeping', 'wasted-space'];

/** What was found in a cluster with several references. Its impact depends on what these are. */
interface SharedFinding {
  readonly kind: Finding['kind'];
  readonly fault: Fault;
  readonly cluster: SharedCluster;
  readonly place: Place;
  readonly message: string;
  count: number;
}

/** The findings of one check. */
export class Findings {
  corruptions = 0;
  leaks = 0;
  checkErrors = 0;
  extra = 0;
  /** The clusters with several references whose findings {@link settle} adds. */
  readonly shared: SharedClusters = new SharedClusters();
  readonly #groups = new Map<string, Group>();
  readonly #unsettled = new Map<SharedCluster, SharedFinding[]>();

  /** Adds a finding; `message` is called only for a place that is listed. */
  add(
    kind: Finding['kind'],
    fault: Fault,
    impact: Impact,
    place: Place,
    message: () => string,
    count: number = 1,
  ): void {
    this.count(kind, fault, place, message, count);
    this.#group(kind, fault, impact).add(place, message, count);
  }

  /** Adds a finding for each of `count` places that follow each other. Those that are not listed cost nothing. */
  addRun(
    kind: Finding['kind'],
    fault: Fault,
    impact: Impact,
    placeOf: (index: number) => Place,
    message: () => string,
    count: number,
  ): void {
    const listed = Math.min(count, this.#group(kind, fault, impact).room);
    for (let index = 0; index < listed; index++) this.add(kind, fault, impact, placeOf(index), message);
    if (listed === count) return;
    this.add(kind, fault, impact, spanOf(placeOf(listed), placeOf(count - 1)), message, count - listed);
  }

  /** Adds a finding of a cluster with several references. */
  addShared(kind: Finding['kind'], fault: Fault, cluster: number, place: Place, message: () => string): void {
    this.count(kind, fault, place, message, 1);
    const shared = this.shared.watch(cluster);
    if (shared === null) {
      // What its references are is not looked for: it cannot be excluded that they contradict each other.
      this.#group(kind, fault, 'data-doubtful').add(place, message, 1);
      return;
    }
    const findings = this.#unsettled.get(shared) ?? [];
    this.#unsettled.set(shared, findings);
    const same = findings.find((finding) => finding.kind === kind && finding.fault === fault);
    if (same === undefined) findings.push({ kind, fault, cluster: shared, place, message: message(), count: 1 });
    else same.count++;
  }

  /** Adds the findings of the clusters with several references, once these are known. */
  settle(): void {
    for (const { kind, fault, cluster, place, message, count } of [...this.#unsettled.values()].flat()) {
      this.#group(kind, fault, cluster.impact).add(place, () => message, count, cluster);
    }
    this.#unsettled.clear();
  }

  /** The findings, worst impact first. */
  list(): Finding[] {
    const groups = [...this.#groups.values()].map((group) => group.finding());
    return IMPACTS.flatMap((impact) => groups.filter((finding) => finding.impact === impact));
  }

  /** Adds a finding to the figures. */
  protected count(kind: Finding['kind'], _fault: Fault, _place: Place, _message: () => string, count: number): void {
    if (kind === 'corruption') this.corruptions += count;
    else if (kind === 'leak') this.leaks += count;
    else if (kind === 'check-error') this.checkErrors += count;
    else this.extra += count;
  }

  #group(kind: Finding['kind'], fault: Fault, impact: Impact): Group {
    const key = `${kind} ${fault} ${impact}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group = new Group(kind, fault, impact);
    this.#groups.set(key, group);
    return group;
  }
}

/** A finding that grows. */
class Group {
  #count = 0;
  readonly #places: FindingPlace[] = [];
  readonly #guest = new GuestRanges();

  constructor(
    private readonly kind: Finding['kind'],
    private readonly fault: Fault,
    private readonly impact: Impact,
  ) {}

  /** How many more places are listed. */
  get room(): number {
    return MAX_PLACES - this.#places.length;
  }

  add(place: Place, message: () => string, count: number, shared?: SharedCluster): void {
    this.#count += count;
    const guest = guestOf(place);
    if (guest !== undefined && place.maps?.active) this.#guest.add(guest);
    for (const range of shared?.guest ?? []) this.#guest.add(range);
    if (this.room === 0) return;
    const references = shared?.references ?? [];
    this.#places.push({
      ...referenceOf(place),
      message: message(),
      ...(references.length > 0 && { references }),
    });
  }

  finding(): Finding {
    const { kind, fault, impact } = this;
    return { kind, fault, impact, count: this.#count, places: this.#places, guest: this.#guest.list() };
  }
}
