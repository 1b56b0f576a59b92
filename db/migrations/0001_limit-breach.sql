-- Every row is a limit exceeded right now; it must stay empty. Counted from rows, as admission does.
CREATE VIEW "limit_breach" ("kind", "id", "limit", "actual") AS
SELECT 'insight.queueSize', i."id", i."queue_size"::bigint, q."actual"
FROM "insight" i
JOIN (SELECT "insight_id", count(*) AS "actual" FROM "running_agenda" WHERE "left_queue_time" IS NULL GROUP BY "insight_id") q
  ON q."insight_id" = i."id" AND q."actual" > i."queue_size"
UNION ALL
SELECT 'insight.maximumRunning', i."id", i."maximum_running"::bigint, r."actual"
FROM "insight" i
JOIN (SELECT "insight_id", count(*) AS "actual" FROM "running_agenda" GROUP BY "insight_id") r
  ON r."insight_id" = i."id" AND r."actual" > i."maximum_running"
UNION ALL
SELECT 'resourcePool.capacity', p."id", (p."capacity" ->> 'slots')::bigint, r."actual"
FROM "resource_pool" p
JOIN (SELECT "resource_pool_id", count(*) AS "actual" FROM "running_agenda" GROUP BY "resource_pool_id") r
  ON r."resource_pool_id" = p."id" AND r."actual" > (p."capacity" ->> 'slots')::int;
