-- The journal, version 1. A later version is one more entry in journal_schema.c, never a change here.

-- The coordinator's whole durable state, opaque here.
create table state (
	one integer primary key check (one = 1),
	body blob not null
);

create table run (
	run integer primary key,
	procedure text not null,
	args text not null,
	who text not null,
	state text not null,
	"end" text not null,
	text text not null,
	next text not null,
	why text not null,
	restore_point text not null,
	began_ms integer not null,
	ended_ms integer not null,
	closed_ms integer not null,
	opened_ms integer not null
);

create table event (
	run integer not null,
	number integer not null,
	at_ms integer not null,
	took_ms integer not null,
	kind text not null,
	step text not null,
	text text not null,
	primary key (run, number)
) without rowid;

-- For the median of a step's time.
create index event_done on event (step, run) where kind = 'done';

create table point (
	id text primary key,
	run integer not null,
	version text not null,
	node text not null,
	at_ms integer not null,
	database_bytes integer not null,
	storage_bytes integer not null,
	tables integer not null,
	rows integer not null,
	verified integer not null,
	swept integer not null
) without rowid;
