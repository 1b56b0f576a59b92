CREATE TABLE "admission" (
	"agenda_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"insight_id" text NOT NULL,
	"resource_pool_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"number" bigint NOT NULL,
	"batch_id" text NOT NULL,
	"admitted_time" timestamp with time zone NOT NULL,
	"ready_time" timestamp with time zone NOT NULL,
	"algorithm" text NOT NULL,
	"cost_model" text NOT NULL,
	"epoch" integer NOT NULL,
	"reason" text NOT NULL,
	"agenda_type" text NOT NULL,
	"need" text NOT NULL,
	"level" integer NOT NULL,
	"expected_seconds" double precision NOT NULL,
	"duration_known" boolean DEFAULT false NOT NULL,
	"cost" double precision NOT NULL,
	"weight" double precision NOT NULL,
	"total" double precision,
	"clock" double precision,
	"start" double precision,
	"finish" double precision,
	"ended_time" timestamp with time zone,
	"seconds" double precision,
	"actual_cost" double precision,
	CONSTRAINT "admission_agenda_id_attempt_pk" PRIMARY KEY("agenda_id","attempt")
);
--> statement-breakpoint
CREATE TABLE "customer_lane" (
	"insight_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"level" integer NOT NULL,
	"tag" double precision NOT NULL,
	"tag_error" double precision NOT NULL,
	"state" text NOT NULL,
	"weight" double precision NOT NULL,
	"band" integer NOT NULL,
	CONSTRAINT "customer_lane_insight_id_customer_id_level_pk" PRIMARY KEY("insight_id","customer_id","level")
);
--> statement-breakpoint
CREATE TABLE "insight_band" (
	"insight_id" text NOT NULL,
	"level" integer NOT NULL,
	"clock" double precision NOT NULL,
	"clock_error" double precision NOT NULL,
	"total" double precision NOT NULL,
	"total_error" double precision NOT NULL,
	"members" integer NOT NULL,
	"since_lower" integer NOT NULL,
	CONSTRAINT "insight_band_insight_id_level_pk" PRIMARY KEY("insight_id","level")
);
--> statement-breakpoint
CREATE TABLE "insight_state" (
	"insight_id" text PRIMARY KEY NOT NULL,
	"algorithm" text NOT NULL,
	"cost_model" text NOT NULL,
	"epoch" integer DEFAULT 0 NOT NULL,
	"admissions" bigint DEFAULT 0 NOT NULL,
	"held_agenda_id" text,
	"held_need" text,
	"memory" json DEFAULT '{}'::json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "learned_duration" (
	"insight_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"agenda_type" text NOT NULL,
	"seconds" double precision NOT NULL,
	"samples" integer NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "learned_duration_insight_id_agenda_type_customer_id_pk" PRIMARY KEY("insight_id","agenda_type","customer_id")
);
--> statement-breakpoint
CREATE TABLE "resource_pool_state" (
	"resource_pool_id" text PRIMARY KEY NOT NULL,
	"remainders" json DEFAULT '{}'::json NOT NULL,
	"parts" json DEFAULT '{}'::json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "settlement" (
	"number" bigserial PRIMARY KEY NOT NULL,
	"insight_id" text NOT NULL,
	"customer_id" text,
	"kind" text NOT NULL,
	"agenda_id" text,
	"attempt" integer,
	"promoted" integer,
	"need" text,
	"priority" integer,
	"time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "waiting_queue" (
	"insight_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"promoted" integer NOT NULL,
	"need" text NOT NULL,
	"priorities" integer[] NOT NULL,
	"level" integer DEFAULT 0 NOT NULL,
	"active" boolean DEFAULT false NOT NULL,
	"start" double precision DEFAULT 0 NOT NULL,
	"finish" double precision DEFAULT 0 NOT NULL,
	"head_moved_time" timestamp with time zone,
	CONSTRAINT "waiting_queue_insight_id_customer_id_promoted_need_pk" PRIMARY KEY("insight_id","customer_id","promoted","need")
);
--> statement-breakpoint
DROP INDEX "ready_agenda_in_order";--> statement-breakpoint
ALTER TABLE "insight" ALTER COLUMN "scheduling_algorithm" SET DEFAULT 'Fairness';--> statement-breakpoint
ALTER TABLE "agenda" ADD COLUMN "priority" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "agenda" ADD COLUMN "peak" json;--> statement-breakpoint
ALTER TABLE "agenda" ADD COLUMN "expected_seconds" double precision;--> statement-breakpoint
ALTER TABLE "agenda" ADD COLUMN "not_before" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "customer" ADD COLUMN "weight" double precision DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "customer" ADD COLUMN "band" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "customer" ADD COLUMN "maximum_running" integer;--> statement-breakpoint
ALTER TABLE "customer" ADD COLUMN "paused" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "weight" double precision DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "guaranteed" integer;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "maximum" integer;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "admissions_per_second" double precision;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "cost_model" text DEFAULT 'shareTime' NOT NULL;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "priority_step" double precision;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "floor" integer;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "promote_after" double precision;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "bypass_limit" integer;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "bypass_seconds" double precision;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "paused" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "insight" ADD COLUMN "customers" json DEFAULT '{}'::json NOT NULL;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "priority" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "need" text DEFAULT '1,0,0,0' NOT NULL;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "agenda_type" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "expected_seconds" double precision;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "promoted" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "moved_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL;--> statement-breakpoint
ALTER TABLE "ready_agenda" ADD COLUMN "is_due" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "resource_pool" ADD COLUMN "paused" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "running_agenda" ADD COLUMN "slots" double precision DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "running_agenda" ADD COLUMN "cpu" double precision DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "running_agenda" ADD COLUMN "memory" double precision DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "running_agenda" ADD COLUMN "gpu" double precision DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "admission_by_insight" ON "admission" USING btree ("insight_id","admitted_time");--> statement-breakpoint
CREATE INDEX "admission_by_age" ON "admission" USING btree ("admitted_time");--> statement-breakpoint
CREATE INDEX "customer_lane_leaving" ON "customer_lane" USING btree ("insight_id","level","tag") WHERE state = 'leaving';--> statement-breakpoint
CREATE INDEX "settlement_by_insight" ON "settlement" USING btree ("insight_id","number");--> statement-breakpoint
CREATE INDEX "settlement_of_all_customers" ON "settlement" USING btree ("insight_id") WHERE customer_id is null;--> statement-breakpoint
CREATE INDEX "waiting_queue_by_finish" ON "waiting_queue" USING btree ("insight_id","level","need","finish","start",customer_id collate "C") WHERE active;--> statement-breakpoint
CREATE INDEX "waiting_queue_by_start" ON "waiting_queue" USING btree ("insight_id","level","need","start",customer_id collate "C") WHERE active;--> statement-breakpoint
CREATE INDEX "waiting_queue_to_promote" ON "waiting_queue" USING btree ("insight_id","head_moved_time") WHERE level > 0;--> statement-breakpoint
CREATE INDEX "waiting_queue_by_customer" ON "waiting_queue" USING btree ("customer_id");--> statement-breakpoint
CREATE INDEX "ready_agenda_of_queue" ON "ready_agenda" USING btree ("insight_id","customer_id","promoted","need","priority","ready_time","agenda_id") WHERE is_due;--> statement-breakpoint
CREATE INDEX "ready_agenda_by_age" ON "ready_agenda" USING btree ("insight_id","ready_time");--> statement-breakpoint
CREATE INDEX "ready_agenda_not_due" ON "ready_agenda" USING btree ("insight_id","ready_time") WHERE not is_due;--> statement-breakpoint
CREATE INDEX "running_agenda_by_customer" ON "running_agenda" USING btree ("customer_id");--> statement-breakpoint
ALTER TABLE "admission_batch" DROP COLUMN "decisions";--> statement-breakpoint
ALTER TABLE "ready_agenda" DROP COLUMN "number";