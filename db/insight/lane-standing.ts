/** How a customer stands in a band of an Insight, as SQL over its `customer_lane l` and the band's `insight_band b`. */
import type { Database } from '../connect.ts';

/** The customer's part of what the band gives, 0 to 1; null while it has nothing to start. */
export const laneShare = (sql: Database['$client']) =>
  sql`case when l.state = 'active' then l.weight / nullif(b.total, 0) end`;

/**
 * Cost that the customer is behind its share (above 0) or ahead of it (below 0). Null where it would be behind for idle
 * or blocked time, which earns nothing.
 */
export const laneLag = (sql: Database['$client']) => sql`
  case when l.state = 'active' or b.clock < l.tag
    then ((b.clock - l.tag) + (b.clock_error - l.tag_error)) * l.weight end`;
