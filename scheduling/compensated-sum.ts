/**
 * A sum kept as a value and its error term, by + and − alone (Knuth's TwoSum; Neumaier 1974). Virtual clocks and tags
 * grow without end while the differences that decide stay small: with plain doubles a clock at 1e11 no longer sees what
 * a customer of weight 1,000 received. `high` is always the nearest double to the whole, so two sums compare by `high`,
 * then by `low`.
 */
export class CompensatedSum {
  high = 0;
  low = 0;

  add(amount: number): void {
    const sum = this.high + amount;
    const part = sum - this.high;
    const error = this.high - (sum - part) + (amount - part) + this.low;
    const high = sum + error;
    const rest = high - sum;
    this.low = sum - (high - rest) + (error - rest);
    this.high = high;
  }

  set(other: Tag): void {
    this.high = other.high;
    this.low = other.low;
  }

  /** this − other, rounded once the large parts are gone. */
  minus(other: Tag): number {
    return this.high - other.high + (this.low - other.low);
  }

  isAbove(other: Tag): boolean {
    return this.high !== other.high ? this.high > other.high : this.low > other.low;
  }
}

/** A point in virtual time: `high` + `low`. */
export interface Tag {
  readonly high: number;
  readonly low: number;
}
