CREATE TABLE "event" (
	"agenda_id" text NOT NULL,
	"number" integer NOT NULL,
	"attempt" integer NOT NULL,
	"kind" text NOT NULL,
	"time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"index" integer,
	"launch" integer,
	"operation_attempt" integer,
	"outcome" text,
	"category" text,
	"code" text,
	"message" text,
	CONSTRAINT "event_agenda_id_number_pk" PRIMARY KEY("agenda_id","number")
);
--> statement-breakpoint
CREATE TABLE "installation" (
	"id" text PRIMARY KEY NOT NULL,
	"made_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"oldest_schema" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "launch_token_key" (
	"number" bigserial PRIMARY KEY NOT NULL,
	"secret" text NOT NULL,
	"made_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"retired_time" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "operation_attempt" (
	"agenda_id" text NOT NULL,
	"index" integer NOT NULL,
	"attempt" integer NOT NULL,
	"launch" integer NOT NULL,
	"operation_attempt" integer NOT NULL,
	"launcher" text,
	"place" text,
	"worker" text,
	"admitted_time" timestamp with time zone,
	"scheduled_time" timestamp with time zone,
	"pulled_time" timestamp with time zone,
	"started_time" timestamp with time zone,
	"ended_time" timestamp with time zone,
	"noticed_time" timestamp with time zone,
	"ending" text,
	"category" text,
	"code" text,
	"diagnostic_events" json,
	"decision" text,
	"again_time" timestamp with time zone,
	"added_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"updated_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "operation_attempt_agenda_id_index_attempt_launch_pk" PRIMARY KEY("agenda_id","index","attempt","launch")
);
--> statement-breakpoint
ALTER TABLE "agenda_progress" ADD COLUMN "outcome" text;--> statement-breakpoint
ALTER TABLE "agenda_progress" ADD COLUMN "failing" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "operation_progress" ADD COLUMN "outcome" text;--> statement-breakpoint
ALTER TABLE "operation_progress" ADD COLUMN "failure_category" text;--> statement-breakpoint
ALTER TABLE "operation_progress" ADD COLUMN "failure_code" text;--> statement-breakpoint
ALTER TABLE "operation_progress" ADD COLUMN "again_time" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "operation_progress" ADD COLUMN "blocked_reason" text;--> statement-breakpoint
ALTER TABLE "operation_progress" ADD COLUMN "blocked_since" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "running_agenda" ADD COLUMN "workflow_id" text;--> statement-breakpoint
ALTER TABLE "running_agenda" ADD COLUMN "first_run_id" text;--> statement-breakpoint
INSERT INTO "installation" ("id") VALUES (gen_random_uuid()::text);
--> statement-breakpoint
-- Two random uuids have 244 random bits.
INSERT INTO "launch_token_key" ("secret") VALUES (encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'));
