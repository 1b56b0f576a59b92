CREATE TABLE "pool_registry" (
	"resource_pool_id" text NOT NULL,
	"digest" text NOT NULL,
	"types" jsonb NOT NULL,
	"seen_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "pool_registry_resource_pool_id_digest_pk" PRIMARY KEY("resource_pool_id","digest")
);
--> statement-breakpoint
CREATE TABLE "pool_worker" (
	"resource_pool_id" text NOT NULL,
	"name" text NOT NULL,
	"version" text NOT NULL,
	"slots" integer NOT NULL,
	"digest" text NOT NULL,
	"registry_problem" text,
	"started_time" timestamp with time zone NOT NULL,
	"seen_time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "pool_worker_resource_pool_id_name_pk" PRIMARY KEY("resource_pool_id","name")
);
