-- What waited before admission kept state: it is to be taken in.
INSERT INTO "settlement" ("insight_id", "customer_id", "kind", "promoted", "need", "priority")
SELECT DISTINCT "insight_id", "customer_id", 'ready', "promoted", "need", "priority" FROM "ready_agenda";
--> statement-breakpoint
DROP VIEW "limit_breach";
--> statement-breakpoint
-- Every row is a limit exceeded right now; it must stay empty unless a limit was lowered below what runs. Counted from rows, as admission does.
CREATE VIEW "limit_breach" ("kind", "id", "limit", "actual") AS
SELECT 'insight.queueSize', i."id", i."queue_size"::float8, q."actual"::float8
FROM "insight" i
JOIN (SELECT "insight_id", count(*) AS "actual" FROM "running_agenda" WHERE "left_queue_time" IS NULL GROUP BY "insight_id") q
  ON q."insight_id" = i."id" AND q."actual" > i."queue_size"
UNION ALL
SELECT l."kind", i."id", l."limit", l."actual"
FROM "insight" i
JOIN (SELECT "insight_id", count(*) AS "agendas", sum("slots") AS "slots" FROM "running_agenda" GROUP BY "insight_id") r ON r."insight_id" = i."id",
LATERAL (VALUES
  ('insight.maximumRunning', i."maximum_running"::float8, r."agendas"::float8),
  ('insight.maximum', i."maximum"::float8, r."slots")
) l("kind", "limit", "actual")
WHERE l."actual" > l."limit"
UNION ALL
SELECT 'insight.admissionsPerSecond', i."id", ceil(i."admissions_per_second"), a."actual"::float8
FROM "insight" i
JOIN LATERAL (SELECT count(*) AS "actual" FROM "admission" a WHERE a."insight_id" = i."id"
  AND a."admitted_time" > clock_timestamp() - make_interval(secs => ceil(i."admissions_per_second") / i."admissions_per_second")) a
  ON a."actual" > ceil(i."admissions_per_second")
WHERE i."admissions_per_second" IS NOT NULL
UNION ALL
SELECT 'insight.customers.maximumRunning', i."id" || ' ' || c."key", (c."value" ->> 'maximumRunning')::float8, r."actual"::float8
FROM "insight" i
CROSS JOIN LATERAL json_each(i."customers") c
JOIN LATERAL (SELECT count(*) AS "actual" FROM "running_agenda" r WHERE r."insight_id" = i."id" AND r."customer_id" = c."key") r
  ON r."actual" > (c."value" ->> 'maximumRunning')::float8
UNION ALL
SELECT 'customer.maximumRunning', c."id", c."maximum_running"::float8, r."actual"::float8
FROM "customer" c
JOIN (SELECT "customer_id", count(*) AS "actual" FROM "running_agenda" GROUP BY "customer_id") r
  ON r."customer_id" = c."id" AND r."actual" > c."maximum_running"
UNION ALL
SELECT 'resourcePool.capacity.' || l."resource", p."id", l."limit", l."actual"
FROM "resource_pool" p
JOIN (SELECT "resource_pool_id", sum("slots") AS "slots", sum("cpu") AS "cpu", sum("memory") AS "memory", sum("gpu") AS "gpu"
  FROM "running_agenda" GROUP BY "resource_pool_id") r ON r."resource_pool_id" = p."id",
LATERAL (VALUES
  ('slots', (p."capacity" ->> 'slots')::float8, r."slots"),
  ('cpu', (p."capacity" ->> 'cpu')::float8, r."cpu"),
  ('memory', (p."capacity" ->> 'memory')::float8, r."memory"),
  ('gpu', (p."capacity" ->> 'gpu')::float8, r."gpu")
) l("resource", "limit", "actual")
WHERE l."actual" > l."limit" * (1 + 1e-9);
