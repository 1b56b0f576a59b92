-- outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "agenda_progress_by_outcome" ON "agenda_progress" USING btree ("outcome","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "agenda_progress_by_customer_outcome" ON "agenda_progress" USING btree ("customer_id","outcome","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "agenda_progress_without_outcome" ON "agenda_progress" USING btree ("id") WHERE processing_state = 'COMPLETE' and outcome is null;--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "operation_progress_by_outcome" ON "operation_progress" USING btree ("outcome","id") WHERE outcome <> 'succeeded';--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "operation_progress_by_customer_outcome" ON "operation_progress" USING btree ("customer_id","outcome","id") WHERE outcome <> 'succeeded';