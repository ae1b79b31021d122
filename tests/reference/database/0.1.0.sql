BEGIN TRANSACTION;
CREATE TABLE imaging_service_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT imaging_service_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "imaging_service_version" VALUES('0001');
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
INSERT INTO "plate" VALUES('9b1c6e0d2f4a4c8e8a70','Phantom-1',16,24,'["1", "2", "3"]',0.325,'2026-11-20 09:15:00.000000');
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
	submitted_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(plate_id) REFERENCES plate (id)
);
INSERT INTO "run" VALUES('5d1f0c3a9e7b42680f11','9b1c6e0d2f4a4c8e8a70','phantom-fixed-endpoint','classical','done','',1,3,0,'["one note"]','2026-11-20 09:20:00.000000');
CREATE TABLE table_row (
	id INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	line VARCHAR NOT NULL, 
	compound VARCHAR NOT NULL, 
	phenotype VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	CONSTRAINT one_row_a_position UNIQUE (run_id, kind, position)
);
INSERT INTO "table_row" VALUES(1,'5d1f0c3a9e7b42680f11','wells',0,'HC-01','DMSO','','done','{"well": "C03", "status": "done", "live_density": 301.5}');
INSERT INTO "table_row" VALUES(2,'5d1f0c3a9e7b42680f11','wells',1,'HC-01','toxic-1','','done','{"well": "C04", "status": "done", "live_density": 262.25}');
INSERT INTO "table_row" VALUES(3,'5d1f0c3a9e7b42680f11','responses',0,'HC-01','toxic-1','live_density','ok','{"line": "HC-01", "compound": "toxic-1", "phenotype": "live_density", "status": "ok", "ec50": 3.1e-06}');
INSERT INTO "table_row" VALUES(4,'5d1f0c3a9e7b42680f11','responses',1,'HC-01','rescuer-1','live_density','flat','{"line": "HC-01", "compound": "rescuer-1", "phenotype": "live_density", "status": "flat", "ec50": null}');
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
INSERT INTO "well_result" VALUES(1,'5d1f0c3a9e7b42680f11','C03','done','',2,61);
INSERT INTO "well_result" VALUES(2,'5d1f0c3a9e7b42680f11','C04','done','',2,58);
INSERT INTO "well_result" VALUES(3,'5d1f0c3a9e7b42680f11','C05','failed','field 2, channel 1: the file is cut short',0,0);
CREATE INDEX ix_run_plate_id ON run (plate_id);
CREATE INDEX ix_run_state ON run (state);
CREATE INDEX by_run_and_kind ON table_row (run_id, kind);
CREATE INDEX ix_well_result_run_id ON well_result (run_id);
COMMIT;
