CREATE TABLE "admission_batch" (
	"id" text PRIMARY KEY NOT NULL,
	"insight_id" text NOT NULL,
	"answer" json NOT NULL,
	"decisions" json NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "agenda" (
	"id" text PRIMARY KEY NOT NULL,
	"cid" text NOT NULL,
	"customer_id" text NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"title" text,
	"link_id" text,
	"progress_id" text NOT NULL,
	"params" json DEFAULT '{}'::json NOT NULL,
	"parallelism" integer,
	"insight_id" text NOT NULL,
	"resource_pool_id" text NOT NULL,
	"attempt" integer DEFAULT 1 NOT NULL,
	"cancel_requested_time" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "agenda_progress" (
	"id" text PRIMARY KEY NOT NULL,
	"cid" text NOT NULL,
	"customer_id" text NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"agenda_id" text NOT NULL,
	"link_id" text,
	"external_id" text,
	"title" text,
	"processing_state" text DEFAULT 'WAITING' NOT NULL,
	"processing_state_message" text DEFAULT 'pending' NOT NULL,
	"percent_complete" double precision DEFAULT 0 NOT NULL,
	"diagnostic_events" json,
	"params" json,
	"attempts_completed" integer DEFAULT 0 NOT NULL,
	"maximum_attempts" integer DEFAULT 3 NOT NULL,
	"started_time" timestamp with time zone,
	"completed_time" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "api_key" (
	"prefix" text PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"title" text,
	"accounts" text[] DEFAULT '{}' NOT NULL,
	"super_user" boolean DEFAULT false NOT NULL,
	"scopes" text[] DEFAULT '{}' NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"expires_time" timestamp with time zone,
	"last_used_time" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "audit_entry" (
	"number" bigserial PRIMARY KEY NOT NULL,
	"time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"customer_id" text NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"object_id" text NOT NULL,
	"cid" text NOT NULL,
	"before" json,
	"after" json
);
--> statement-breakpoint
CREATE TABLE "customer" (
	"id" text PRIMARY KEY NOT NULL,
	"cid" text NOT NULL,
	"customer_id" text NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"title" text NOT NULL,
	"billing_code" text,
	"resource_pool_id" text
);
--> statement-breakpoint
CREATE TABLE "idempotency" (
	"customer_id" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
	"agenda_id" text NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "idempotency_customer_id_key_pk" PRIMARY KEY("customer_id","key")
);
--> statement-breakpoint
CREATE TABLE "insight" (
	"id" text PRIMARY KEY NOT NULL,
	"cid" text NOT NULL,
	"customer_id" text NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"title" text NOT NULL,
	"resource_pool_id" text NOT NULL,
	"queue_name" text,
	"queue_size" integer DEFAULT 100 NOT NULL,
	"scheduling_algorithm" text DEFAULT 'FirstInFirstOut' NOT NULL,
	"maximum_running" integer,
	"mappers" json DEFAULT '{}'::json NOT NULL,
	"is_global" boolean DEFAULT false NOT NULL,
	"allowed_customer_ids" text[] DEFAULT '{}' NOT NULL,
	"order" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "insight_wake" (
	"insight_id" text PRIMARY KEY NOT NULL,
	"wake_pending" boolean DEFAULT false NOT NULL,
	"last_tick_time" timestamp with time zone,
	"missed_sweeps" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "operation" (
	"agenda_id" text NOT NULL,
	"index" integer NOT NULL,
	"name" text NOT NULL,
	"type" text NOT NULL,
	"given_id" text,
	"payload" text,
	"params" json,
	"depends_on" text[],
	"dependencies" integer[] DEFAULT '{}' NOT NULL,
	"weight" double precision DEFAULT 1 NOT NULL,
	"timeout" json,
	CONSTRAINT "operation_agenda_id_index_pk" PRIMARY KEY("agenda_id","index")
);
--> statement-breakpoint
CREATE TABLE "operation_log" (
	"agenda_id" text NOT NULL,
	"index" integer NOT NULL,
	"attempt" integer NOT NULL,
	"launch" integer NOT NULL,
	"output" text NOT NULL,
	"total_bytes" bigint NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "operation_log_agenda_id_index_attempt_launch_pk" PRIMARY KEY("agenda_id","index","attempt","launch")
);
--> statement-breakpoint
CREATE TABLE "operation_progress" (
	"agenda_id" text NOT NULL,
	"index" integer NOT NULL,
	"id" text NOT NULL,
	"agenda_progress_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"cid" text NOT NULL,
	"operation" text NOT NULL,
	"processing_state" text DEFAULT 'WAITING' NOT NULL,
	"processing_state_message" text DEFAULT 'pending' NOT NULL,
	"percent_complete" double precision DEFAULT 0 NOT NULL,
	"result_payload" text,
	"diagnostic_events" json,
	"params" json,
	"attempt_count" integer DEFAULT 0 NOT NULL,
	"attempt_time" timestamp with time zone,
	"launch" integer DEFAULT 0 NOT NULL,
	"place" text,
	"worker" text,
	"scheduled_time" timestamp with time zone,
	"pulled_time" timestamp with time zone,
	"started_time" timestamp with time zone,
	"ended_time" timestamp with time zone,
	"noticed_time" timestamp with time zone,
	"completed_time" timestamp with time zone,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "operation_progress_agenda_id_index_pk" PRIMARY KEY("agenda_id","index")
);
--> statement-breakpoint
CREATE TABLE "ready_agenda" (
	"agenda_id" text PRIMARY KEY NOT NULL,
	"insight_id" text NOT NULL,
	"resource_pool_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"ready_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"number" bigserial NOT NULL
);
--> statement-breakpoint
CREATE TABLE "resource_pool" (
	"id" text PRIMARY KEY NOT NULL,
	"cid" text NOT NULL,
	"customer_id" text NOT NULL,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"title" text,
	"capacity" json
);
--> statement-breakpoint
CREATE TABLE "running_agenda" (
	"agenda_id" text PRIMARY KEY NOT NULL,
	"insight_id" text NOT NULL,
	"resource_pool_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"batch_id" text NOT NULL,
	"admitted_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"started_time" timestamp with time zone,
	"left_queue_time" timestamp with time zone,
	"run_id" text,
	"seen_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "admission_batch_by_age" ON "admission_batch" USING btree ("added_time");--> statement-breakpoint
CREATE INDEX "agenda_by_customer" ON "agenda" USING btree ("customer_id","id");--> statement-breakpoint
CREATE INDEX "agenda_by_link" ON "agenda" USING btree ("link_id","id");--> statement-breakpoint
CREATE INDEX "agenda_by_insight" ON "agenda" USING btree ("insight_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "agenda_progress_by_agenda" ON "agenda_progress" USING btree ("agenda_id");--> statement-breakpoint
CREATE INDEX "agenda_progress_by_customer" ON "agenda_progress" USING btree ("customer_id","id");--> statement-breakpoint
CREATE INDEX "agenda_progress_by_link" ON "agenda_progress" USING btree ("link_id","id");--> statement-breakpoint
CREATE INDEX "audit_entry_by_object" ON "audit_entry" USING btree ("object_id","number");--> statement-breakpoint
CREATE INDEX "customer_by_customer" ON "customer" USING btree ("customer_id","id");--> statement-breakpoint
CREATE INDEX "customer_by_pool" ON "customer" USING btree ("resource_pool_id");--> statement-breakpoint
CREATE INDEX "idempotency_by_age" ON "idempotency" USING btree ("added_time");--> statement-breakpoint
CREATE INDEX "insight_by_pool" ON "insight" USING btree ("resource_pool_id","order","added_time");--> statement-breakpoint
CREATE INDEX "insight_by_customer" ON "insight" USING btree ("customer_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "operation_by_name" ON "operation" USING btree ("agenda_id","name");--> statement-breakpoint
CREATE UNIQUE INDEX "operation_progress_by_id" ON "operation_progress" USING btree ("id");--> statement-breakpoint
CREATE UNIQUE INDEX "operation_progress_by_operation" ON "operation_progress" USING btree ("agenda_progress_id","operation");--> statement-breakpoint
CREATE INDEX "operation_progress_by_customer" ON "operation_progress" USING btree ("customer_id","id");--> statement-breakpoint
CREATE INDEX "ready_agenda_in_order" ON "ready_agenda" USING btree ("insight_id","ready_time","number");--> statement-breakpoint
CREATE INDEX "resource_pool_by_customer" ON "resource_pool" USING btree ("customer_id","id");--> statement-breakpoint
CREATE INDEX "running_agenda_by_insight" ON "running_agenda" USING btree ("insight_id");--> statement-breakpoint
CREATE INDEX "running_agenda_by_pool" ON "running_agenda" USING btree ("resource_pool_id");--> statement-breakpoint
CREATE INDEX "running_agenda_not_started" ON "running_agenda" USING btree ("insight_id","admitted_time") WHERE started_time is null;