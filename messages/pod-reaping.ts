/** What a round of the PodReaper is to clear away. */
export interface PodReapOrder {
  /** Of ended Pods that are kept, since their end. */
  readonly olderThanSeconds: number;
  /** Ended Pods that may stay, however young; the oldest go first. */
  readonly mostKept: number;
  /** Pods that are deleted at once. */
  readonly batch: number;
  /** Of the round. */
  readonly mostSeconds: number;
  /** Namespaces of Customers without a Pod, since they were made; absent: they stay. */
  readonly namespacesOlderThanSeconds?: number;
  /** Tells what would go, and deletes nothing. */
  readonly logOnly: boolean;
}

/** What a round of the PodReaper cleared away, or would have. */
export interface PodReapAnswer {
  readonly pods: number;
  readonly namespaces: number;
  /** Ended Pods that stay. */
  readonly kept: number;
  /** False: the round's time was over first. */
  readonly complete: boolean;
}
