BEGIN TRANSACTION;
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('631e69cc-a9c4-4bbc-8b46-ebf2a038c640','1',1795709424000,1795709424000,'imaging-service');
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE differentiation_batch (
	batch VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	PRIMARY KEY (batch)
);
CREATE TABLE donor (
	id VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE imaging_service_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT imaging_service_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "imaging_service_version" VALUES('0003');
CREATE TABLE line (
	line VARCHAR NOT NULL, 
	donor VARCHAR NOT NULL, 
	gene VARCHAR NOT NULL, 
	isogenic_parent VARCHAR, 
	content VARCHAR NOT NULL, 
	PRIMARY KEY (line), 
	FOREIGN KEY(donor) REFERENCES donor (id), 
	FOREIGN KEY(isogenic_parent) REFERENCES line (line)
);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',1,'begin','["B02","B03","B04","B05","C02","C03"]',NULL,NULL,1795709425503,1795709439824,'portable_json','imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',2,'analyse_well',NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02',1795709439847,1795709439850,NULL,'imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',3,'analyse_well',NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B03',1795709439853,1795709439861,NULL,'imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',4,'analyse_well',NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B04',1795709439865,1795709439867,NULL,'imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',5,'analyse_well',NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B05',1795709439870,1795709439877,NULL,'imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',6,'analyse_well',NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:C02',1795709439888,1795709439890,NULL,'imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',7,'analyse_well',NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:C03',1795709439895,1795709439896,NULL,'imaging-service',1795709439000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02',1,'compute_well','{"well":"B02","status":"done","reason":"","n_fields":2,"n_nuclei":16}',NULL,NULL,1795709439924,1795709440270,'portable_json','imaging-service',1795709440000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02',2,'commit_well','"done"',NULL,NULL,1795709440273,1795709440386,'portable_json','imaging-service',1795709440000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1',8,'DBOS.getResult','"done"',NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02',1795709439910,1795709440913,'portable_json','imaging-service',1795709440000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B03',1,'compute_well','{"well":"B03","status":"done","reason":"","n_fields":2,"n_nuclei":12}',NULL,NULL,1795709439930,1795709440950,'portable_json','imaging-service',1795709440000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B03',2,'commit_well','"done"',NULL,NULL,1795709440962,1795709440969,'portable_json','imaging-service',1795709440000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B04',1,'compute_well','{"well":"B04","status":"done","reason":"","n_fields":2,"n_nuclei":21}',NULL,NULL,1795709440568,1795709441426,'portable_json','imaging-service',1795709441000);
INSERT INTO "operation_outputs" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B04',2,'commit_well','"done"',NULL,NULL,1795709441443,1795709441462,'portable_json','imaging-service',1795709441000);
CREATE TABLE plate (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	rows INTEGER NOT NULL, 
	columns INTEGER NOT NULL, 
	channels VARCHAR NOT NULL, 
	pixel_size_um FLOAT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "plate" VALUES('2e877fc25eccaf24de0a322ad122ede6503bfdcca27f27a75cefb061523425ab','Small-1',4,6,'["1", "2", "3"]',0.65,'2026-11-26 16:10:16.322863');
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO "queues" VALUES('1A8AA9CD7883078B62F42318C2874097','plates',NULL,2,NULL,NULL,1,0,0.2,1795709424000,1795709424178,'imaging-service',NULL,NULL,NULL,NULL);
INSERT INTO "queues" VALUES('988E761F921695E68ABC005A1E053467','wells',NULL,2,NULL,NULL,1,0,0.2,1795709424000,1795709424200,'imaging-service',NULL,NULL,NULL,NULL);
INSERT INTO "queues" VALUES('D9C919167503FD89631A3EA4E1E73A0B','reviews',NULL,1,NULL,NULL,1,0,0.2,1795709424000,1795709424208,'imaging-service',NULL,NULL,NULL,NULL);
CREATE TABLE review_claim (
	id INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	reading VARCHAR NOT NULL, 
	well VARCHAR NOT NULL, 
	field INTEGER NOT NULL, 
	reviewer VARCHAR NOT NULL, 
	until FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	CONSTRAINT one_claim_a_field UNIQUE (run_id, reading, well, field)
);
CREATE TABLE run (
	id VARCHAR NOT NULL, 
	plate_id VARCHAR NOT NULL, 
	protocol_name VARCHAR NOT NULL, 
	engine VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	n_wells INTEGER NOT NULL, 
	n_skipped INTEGER NOT NULL, 
	notes VARCHAR NOT NULL, 
	submitted_at DATETIME NOT NULL, revision INTEGER DEFAULT '1' NOT NULL, review_reason VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(plate_id) REFERENCES plate (id)
);
INSERT INTO "run" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838','2e877fc25eccaf24de0a322ad122ede6503bfdcca27f27a75cefb061523425ab','small','classical','running','',1,6,1,'["warning: map.csv: line L1 has only 2 vehicle well(s): B02, B03", "warning: map.csv: line L2 has only 1 vehicle well(s): C02", "warning: map.csv: x on line L1 has 2 dose(s); a curve needs 4", "warning: map.csv: x on line L2 has 2 dose(s); a curve needs 4", "warning: map.csv: no positive control, so Z\u2032 and SSMD cannot be computed"]','2026-11-26 16:10:16.324585',1,'');
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "table_row" (
	id INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	line VARCHAR NOT NULL, 
	compound VARCHAR NOT NULL, 
	phenotype VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	revision INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT one_row_a_position UNIQUE (run_id, revision, kind, position), 
	FOREIGN KEY(run_id) REFERENCES run (id)
);
CREATE TABLE well_result (
	id INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	well VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	n_fields INTEGER NOT NULL, 
	n_nuclei INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	CONSTRAINT one_row_a_well UNIQUE (run_id, well)
);
INSERT INTO "well_result" VALUES(1,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838','B02','done','',2,16);
INSERT INTO "well_result" VALUES(2,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838','B03','done','',2,12);
INSERT INTO "well_result" VALUES(3,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838','B04','done','',2,21);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838",1]}',1795709416000);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838","B02"]}',1795709439000);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B03','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838","B03"]}',1795709439000);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B04','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838","B04"]}',1795709439000);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B05','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838","B05"]}',1795709439000);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:C02','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838","C02"]}',1795709439000);
INSERT INTO "workflow_input" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:C03','{"namedArgs":{},"positionalArgs":["13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838","C03"]}',1795709439000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02','"done"',NULL,1795709440000);
INSERT INTO "workflow_output" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B03','"done"',NULL,1795709441000);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','PENDING','analyse_plate',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709416000,1795709425000,'1',NULL,NULL,NULL,1,'plates',NULL,NULL,NULL,1795709425000,NULL,0,NULL,NULL,'1dafa088-b5e8-43c8-a0d5-d117410ee3b0',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'imaging-service','a21cd131-f6c7-4e96-9fef-c6a19771ff2a');
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B02','SUCCESS','analyse_well',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709439000,1795709440000,'1','',NULL,NULL,1,'wells',NULL,NULL,NULL,1795709439000,NULL,0,NULL,NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','portable_json',NULL,0,0,1795709440000,'null',NULL,NULL,0,'imaging-service','ee8d2d4c-a4b2-417f-97b5-047634aa1669');
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B03','SUCCESS','analyse_well',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709439000,1795709441000,'1','',NULL,NULL,1,'wells',NULL,NULL,NULL,1795709439000,NULL,0,NULL,NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','portable_json',NULL,0,0,1795709441000,'null',NULL,NULL,0,'imaging-service','391e3c74-176c-43e1-9260-2a61e849c5c5');
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B04','PENDING','analyse_well',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709439000,1795709440000,'1','',NULL,NULL,1,'wells',NULL,NULL,NULL,1795709440000,NULL,0,NULL,NULL,'f1a40b5f-5be5-4764-a4e8-b123b6417787','13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'imaging-service','efbb9dcd-9a53-48f1-aa17-978433e0d833');
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:B05','PENDING','analyse_well',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709439000,1795709441000,'1','',NULL,NULL,1,'wells',NULL,NULL,NULL,1795709441000,NULL,0,NULL,NULL,'72105e98-460a-4871-a5f8-8b91532aba29','13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'imaging-service','f76e3d61-e13f-40ab-b6f8-09f8bd632147');
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:C02','ENQUEUED','analyse_well',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709439000,1795709439000,'1','',NULL,NULL,0,'wells',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'imaging-service','2e62d9f0-3a21-49d1-b52c-a714b0cdd44c');
INSERT INTO "workflow_status" VALUES('13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1:C03','ENQUEUED','analyse_well',NULL,NULL,NULL,NULL,NULL,NULL,'worker',1795709439000,1795709439000,'1','',NULL,NULL,0,'wells',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,'13c062e8b97ceb670dcdfa2ae2f756971e54962b4670e1bb2bb4fc98b252d838:1','portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'imaging-service','3dda7680-0a2e-46f7-815b-39f90d840cd9');
CREATE INDEX ix_run_plate_id ON run (plate_id);
CREATE INDEX ix_run_state ON run (state);
CREATE INDEX ix_well_result_run_id ON well_result (run_id);
CREATE INDEX ix_line_donor ON line (donor);
CREATE INDEX ix_line_gene ON line (gene);
CREATE INDEX ix_review_claim_run_id ON review_claim (run_id);
CREATE INDEX by_run_and_kind ON table_row (run_id, revision, kind);
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
COMMIT;