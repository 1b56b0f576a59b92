/**
 * Who goes next: weighted fair sharing decided at dispatch, rule by rule.
 *
 * Each band has a virtual clock V that advances by cost / W, W being the weights of its active customers. Each customer
 * of a band (a lane) has a start tag S: where the clock will be when a fluid server, serving all at once by weight, has
 * given it what it was given here. S below V: it is behind its share; above: ahead. The rules are those of WF2Q+
 * (Bennett & Zhang 1996, "Hierarchical packet fair queueing algorithms") and EEVDF (Stoica & Abdel-Wahab 1995,
 * "Earliest eligible virtual deadline first"), carried from packets of known length to Agendas whose cost is learned
 * when they end, and from one link to a pool where not everything fits.
 *
 * Numbers are compensated sums, compared and added only; ties end at ids. So the same calls decide the same, everywhere
 * and after a restore.
 */
import { FairShareLedger } from './fair-share-ledger.ts';
import { type Band, type Customer, isBlocked, type Lane, type Queue } from './lane.ts';
import { arrange, bestLane, finishesBefore, firstOf, put } from './lane-order.ts';
import { type Amounts, fits, keyOfNeed, needOf, someOfEach } from './need.ts';
import { firstPasser } from './passing.ts';
import type { PassedBy } from './reservations.ts';
import type { CustomerShare, ReadyItem, SchedulerOptions } from './scheduler.ts';

/** The Agenda that goes, and why it is this one. */
export interface Choice {
  readonly row: number;
  readonly why: 'share' | 'floor' | 'reservation' | 'passing';
  /** The ground on which it passed the unit that capacity is held for. */
  readonly by?: PassedBy;
}

/** The options of the rules, defaults filled in. Times are seconds. */
export interface Rules {
  readonly priorityStep: number;
  readonly floor: number;
  readonly promoteAfter: number | undefined;
  readonly bypassLimit: number;
  readonly bypassSeconds: number;
  readonly hasBands: boolean;
}

/** Rules 1 to 9. The ledger holds what waits and what runs. */
export class ChooseNext extends FairShareLedger {
  readonly rules: Rules;
  readonly options: SchedulerOptions;
  now = 0;

  constructor(rules: Rules, options: SchedulerOptions) {
    super(options, rules.promoteAfter);
    this.rules = rules;
    this.options = options;
  }

  // ── 1. Becoming active ─────────────────────────────────────────────────────────────────────────────────────────────
  // Idle time earns nothing: the tag is lifted to the clock. Debt is kept: a tag ahead of the clock stays.

  #enter(lane: Lane): void {
    const { band } = lane;
    if (lane.state === 'leaving') band.leaving.remove(lane);
    if (lane.state === 'dormant') {
      if (band.clock.isAbove(lane.tag)) lane.tag.set(band.clock);
      band.total.add(lane.customer.weight);
      band.members += 1;
    }
    lane.state = 'active';
  }

  // ── 2. Choosing ────────────────────────────────────────────────────────────────────────────────────────────────────
  // Among lanes with S ≤ V ("eligible", Stoica & Abdel-Wahab) the smallest F; when there is none, the smallest S.

  /** The lane that goes first, whether or not its head fits. */
  #firstLane(band: Band): Lane | undefined {
    let first = bestLane(band, (needClass) => firstOf(band, needClass)?.lane);
    if (first === undefined || !first.tag.isAbove(band.clock)) return first;
    // The clock would move to this tag: of those that start there, the smallest F.
    const { tag } = first;
    for (const { reached, ahead } of band.classes) while (ahead.firstReached(tag)) put(ahead.first as Queue, reached);
    for (const { reached } of band.classes)
      if (reached.first !== undefined && finishesBefore(reached.first.lane, first)) first = reached.first.lane;
    return first;
  }

  /** Admits one or nothing. `room` is what is free. */
  choose(room: Amounts): Choice | undefined {
    this.#reviewNeverFits(room);
    const held = this.#heldThatFits(room);
    const choice = held ?? this.#chooseFrom(0, room, true);
    if (choice !== undefined) this.#admit(choice);
    return choice;
  }

  // ── 3. Charging ────────────────────────────────────────────────────────────────────────────────────────────────────
  // At admission, not at completion: otherwise whoever is first takes all that is free at once.

  #admit(choice: Choice): void {
    const { items } = this;
    const { row } = choice;
    const queue = items.queues[row] as Queue;
    const { lane } = queue;
    const { band, customer } = lane;
    const cost = items.cost[row] as number;
    // When no lane is eligible, the clock moves on to the lane that goes. It does not move for a passer: that would
    // push the clock ahead of the lane that was passed.
    if (choice.why !== 'passing' && choice.why !== 'reservation' && lane.tag.isAbove(band.clock)) {
      band.clock.set(lane.tag);
      this.departReached(band);
    }
    lane.tag.add(cost / customer.weight);
    this.unqueue(row);
    items.weightThen[row] = customer.weight;
    items.totalThen[row] = band.total.high;
    items.startTime[row] = this.now;
    items.setRunning(row);
    customer.running += 1;
    this.reservations.admitted(row, queue.needClass.need, choice);
    if (isBlocked(customer)) this.settleCustomer(customer);
    else this.#settle(lane);
    this.#advance(band, cost);
  }

  // ── 4. Leaving ─────────────────────────────────────────────────────────────────────────────────────────────────────
  // Who runs dry or is blocked while ahead (S > V) has had service that the fluid server is still giving: it counts in
  // W until V gets there.

  /** V += cost / W, piecewise: W shrinks at each tag of a leaving lane on the way. */
  #advance(band: Band, cost: number): void {
    let left = cost;
    for (let lane = band.leaving.first; lane !== undefined; lane = band.leaving.first) {
      const due = lane.tag.minus(band.clock) * band.total.high;
      if (due > left) break;
      left -= due;
      band.clock.set(lane.tag);
      band.leaving.remove(lane);
      this.#depart(lane);
    }
    if (band.members > 0) band.clock.add(left / band.total.high);
    this.departReached(band);
  }

  #leave(lane: Lane): void {
    for (const queue of lane.queues) put(queue, undefined);
    if (lane.tag.isAbove(lane.band.clock)) {
      lane.state = 'leaving';
      lane.band.leaving.put(lane, lane.tag);
    } else this.#depart(lane);
  }

  /** Takes leaving lanes out of W once the clock has reached their tags. */
  departReached(band: Band): void {
    while (band.leaving.firstReached(band.clock)) {
      const lane = band.leaving.first as Lane;
      band.leaving.remove(lane);
      this.#depart(lane);
    }
  }

  #depart(lane: Lane): void {
    const { band } = lane;
    lane.state = 'dormant';
    band.members -= 1;
    if (band.members === 0) band.total.set({ high: 0, low: 0 });
    else band.total.add(-lane.customer.weight);
  }

  // ── 5. A head that does not fit ────────────────────────────────────────────────────────────────────────────────────
  // Capacity is held for one unit; others pass while they cannot delay it, or while its patience lasts (EASY
  // backfilling, Lifka 1995, with a limit).

  /** The unit that capacity is held for goes as soon as it fits, whoever's turn it is. */
  #heldThatFits(room: Amounts): Choice | undefined {
    const row = this.reservations.held;
    if (row === undefined || !fits(this.needOf(row), room)) return undefined;
    const index = this.bands.indexOf((this.items.queues[row] as Queue).lane.band);
    for (const band of this.bands.slice(0, index)) if (this.#owes(band)) band.sinceLower = 0;
    this.#countTurn(index, room);
    return { row, why: 'reservation' };
  }

  /** The band's next one by rule 2, or one that may pass it. Without `holds` it only answers whether there is one. */
  #chooseIn(band: Band, room: Amounts, holds: boolean): Choice | undefined {
    if (this.reservations.held === undefined) {
      const lane = this.#firstLane(band);
      if (lane === undefined) return undefined;
      if (fits(this.needOf(lane.head), room)) return { row: lane.head, why: 'share' };
      const fitting = bestLane(band, (needClass) =>
        fits(needClass.need, room) ? firstOf(band, needClass)?.lane : undefined,
      );
      if (!holds) return fitting === undefined ? undefined : { row: fitting.head, why: 'passing' };
      // When a resource that it needs is used up, there is nothing to hold yet. The choice is made again once some of
      // it is free.
      if (fitting === undefined && !someOfEach(this.needOf(lane.head), room)) return undefined;
      this.reservations.hold(lane.head, this.now);
    }
    const passage = this.reservations.passage(room, this.now, this.rules);
    const passer = firstPasser(band, room, passage, this.items);
    return passer === undefined ? undefined : { ...passer, why: 'passing' };
  }

  /** Sets aside the Agendas that need more than the whole pool, and takes them back once the pool has grown. */
  #reviewNeverFits(room: Amounts): void {
    if (!this.reservations.capacityChanged(room)) return;
    const { held } = this.reservations;
    if (held !== undefined && this.reservations.neverFits(this.needOf(held))) this.reservations.release();
    for (const band of this.bands) {
      for (const needClass of band.classes) {
        const neverFits = this.reservations.neverFits(needClass.need);
        if (neverFits === needClass.neverFits) continue;
        needClass.neverFits = neverFits;
        for (const { lane } of needClass.queues) this.#settle(lane);
      }
    }
  }

  // ── 6. Inside a customer ───────────────────────────────────────────────────────────────────────────────────────────
  // A static key: priority is a head start in seconds, so it ages by itself and never touches other customers.

  #keyOf(readyTime: number, priority: number): number {
    return readyTime - priority * this.rules.priorityStep;
  }

  reprioritise(row: number, priority: number): void {
    const { items } = this;
    items.priority[row] = priority;
    items.key[row] = this.#keyOf(items.readyTime[row] as number, priority);
    items.reorder(row);
    this.#settle((items.queues[row] as Queue).lane);
  }

  // ── 7. Bands ───────────────────────────────────────────────────────────────────────────────────────────────────────
  // Strict from the top, except that one in `floor` goes lower while something lower could start. Each band counts for
  // itself, so it nests.

  #chooseFrom(index: number, room: Amounts, holds: boolean): Choice | undefined {
    const band = this.bands[index];
    if (band === undefined) return undefined;
    const owes = this.#owes(band);
    if (owes) {
      const lower = this.#chooseFrom(index + 1, room, holds);
      if (lower !== undefined) {
        if (holds) band.sinceLower = 0;
        return lower.why === 'share' ? { ...lower, why: 'floor' } : lower;
      }
    }
    const choice = this.#chooseIn(band, room, holds);
    if (choice === undefined) return owes ? undefined : this.#chooseFrom(index + 1, room, holds);
    if (holds) this.#countTurn(index, room);
    return choice;
  }

  /** An owed turn is kept until something lower can take it; there is never more than one. */
  #countTurn(index: number, room: Amounts): void {
    const band = this.bands[index] as Band;
    if (index + 1 === this.bands.length || this.#owes(band)) return;
    if (this.#chooseFrom(index + 1, room, false) !== undefined) band.sinceLower += 1;
  }

  #owes(band: Band): boolean {
    return band.sinceLower >= this.rules.floor - 1;
  }

  /**
   * Moves each Agenda that has waited `promoteAfter` seconds in its band up one band, into its customer's lane there.
   */
  promote(): void {
    for (let row = this.promotions.takeDue(this.now); row !== undefined; row = this.promotions.takeDue(this.now)) {
      const { lane } = this.items.queues[row] as Queue;
      this.#rehouse(row, lane.band.level - 1);
    }
  }

  /** Moves a waiting Agenda to another band. */
  #rehouse(row: number, level: number): void {
    const { items } = this;
    const { lane, needClass } = items.queues[row] as Queue;
    this.unqueue(row);
    this.#settle(lane);
    items.movedTime[row] = this.now;
    this.#enqueue(row, lane.customer, level, needClass.key, needClass.need);
  }

  // ── 8. True-up ─────────────────────────────────────────────────────────────────────────────────────────────────────
  // Both clocks move as if the right cost had been charged at admission. Moving S alone would let V run away from
  // everybody's tags.

  finish(row: number, actualCost: number | undefined): void {
    const { items } = this;
    const { lane, needClass } = items.queues[row] as Queue;
    const { customer, band } = lane;
    const wasBlocked = isBlocked(customer);
    const difference = actualCost === undefined ? 0 : actualCost - (items.cost[row] as number);
    items.endRunning(row);
    this.reservations.finished(row, needClass.need);
    customer.running -= 1;
    if (difference !== 0) {
      const [weight, total] = [items.weightThen[row] as number, items.totalThen[row] as number];
      // The customer was reweighted meanwhile: what goes beyond the common movement of the clock is kept in units of
      // service, as in rule 9.
      const own =
        weight === customer.weight
          ? difference / weight
          : difference / total + ((difference / weight - difference / total) * weight) / customer.weight;
      lane.tag.add(own);
      band.clock.add(difference / total);
      this.#retag(lane);
      this.departReached(band);
    }
    items.delete(row);
    if (wasBlocked) this.settleCustomer(customer);
  }

  /** Puts a lane in order again after its tag changed outside of its turn. */
  #retag(lane: Lane): void {
    // A lane can be active and have no head: everything that waits in it needs more than the whole pool has. Such a
    // lane has to leave. The caller settles that afterwards, so it is not put in order here.
    if (lane.state === 'active' && lane.head !== -1) arrange(lane, this.items.cost);
    else if (lane.state === 'leaving') lane.band.leaving.put(lane, lane.tag);
  }

  // ── 9. Reweighting ─────────────────────────────────────────────────────────────────────────────────────────────────
  // Keeps what a customer is ahead or behind in units of service, and acts on its backlog at once.

  #reweight(customer: Customer, weight: number): void {
    const before = customer.weight;
    if (weight === before) return;
    customer.weight = weight;
    for (const lane of customer.lanes) {
      const { band, tag } = lane;
      if (lane.state !== 'dormant') {
        band.total.add(weight);
        band.total.add(-before);
      } else if (!tag.isAbove(band.clock)) continue;
      const distance = tag.minus(band.clock);
      tag.set(band.clock);
      tag.add((distance * before) / weight);
      this.#retag(lane);
    }
  }

  /** Replaces the whole share of a customer. */
  setShare(share: CustomerShare): void {
    const customer = this.customerOf(share.id);
    const before = this.#levelOf(customer);
    customer.share = share;
    this.#reweight(customer, share.weight);
    const after = this.#levelOf(customer);
    if (after !== before) {
      // An Agenda keeps the bands that it has climbed already.
      const moves = customer.lanes.flatMap(({ band, queues }) => {
        const level = Math.max(0, after + band.level - before);
        return queues.flatMap(({ rows }) => rows.map((row) => ({ row, level })));
      });
      for (const { row, level } of moves) this.#rehouse(row, level);
    }
    this.settleCustomer(customer);
  }

  // ── 10. Identity ───────────────────────────────────────────────────────────────────────────────────────────────────
  // What waits and what runs is known by its id, never by its position.

  add(item: ReadyItem): void {
    const { items } = this;
    const row = items.create(item.id);
    const customer = this.customerOf(item.customerId);
    this.describe(row, item);
    items.movedTime[row] = Math.max(item.readyTime, this.now);
    this.#enqueue(row, customer, this.#levelOf(customer), keyOfNeed(item.need), needOf(item.need));
  }

  #enqueue(row: number, customer: Customer, level: number, key: string, need: Amounts): void {
    const lane = this.laneOf(customer, level);
    if (this.enqueue(row, lane, this.queueOf(lane, key, need))) this.#settle(lane);
  }

  /** Writes the fields of an item into its row. */
  describe(row: number, item: ReadyItem): void {
    const { items } = this;
    const priority = item.priority ?? 0;
    items.readyTime[row] = item.readyTime;
    items.priority[row] = priority;
    items.key[row] = this.#keyOf(item.readyTime, priority);
    items.cost[row] = item.cost ?? 1;
    items.seconds[row] = item.expectedSeconds ?? Number.NaN;
  }

  remove(row: number): void {
    const { lane } = this.items.queues[row] as Queue;
    this.reservations.removed(row);
    this.unqueue(row);
    this.items.delete(row);
    this.#settle(lane);
  }

  /** Puts a lane where it belongs after its waiting Agendas or its customer's limits changed. */
  #settle(lane: Lane): void {
    this.findHead(lane);
    if (lane.head !== -1 && !isBlocked(lane.customer)) {
      if (lane.state !== 'active') this.#enter(lane);
      arrange(lane, this.items.cost);
    } else if (lane.state === 'active') this.#leave(lane);
  }

  settleCustomer(customer: Customer): void {
    for (const lane of customer.lanes) this.#settle(lane);
    const { held } = this.reservations;
    if (held !== undefined && (this.items.queues[held] as Queue).lane.customer === customer && isBlocked(customer))
      this.reservations.release();
  }

  /** Puts a restored lane in order. Its state stays as it was stored. */
  replace(lane: Lane): void {
    this.findHead(lane);
    this.#retag(lane);
  }

  #levelOf(customer: Customer): number {
    return this.rules.hasBands ? (customer.share?.band ?? 0) : 0;
  }
}
