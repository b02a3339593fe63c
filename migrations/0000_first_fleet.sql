CREATE TABLE `applied_tasks` (
	`key` text PRIMARY KEY NOT NULL,
	`operation` text NOT NULL,
	`input_hash` text NOT NULL,
	`status` text NOT NULL,
	`undo` text,
	`result` text,
	`error` text,
	`created_at` integer NOT NULL,
	`finished_at` integer
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `chats` (
	`id` text PRIMARY KEY NOT NULL,
	`screen_message_id` integer,
	`screen` text,
	`language` text,
	`server_id` integer,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE set null
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `client_inbounds` (
	`server_id` integer NOT NULL,
	`client_id` integer NOT NULL,
	`inbound_id` integer NOT NULL,
	PRIMARY KEY(`server_id`, `client_id`, `inbound_id`),
	FOREIGN KEY (`server_id`,`client_id`) REFERENCES `clients`(`server_id`,`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`server_id`,`inbound_id`) REFERENCES `inbounds`(`server_id`,`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `client_inbounds_inbound` ON `client_inbounds` (`server_id`,`inbound_id`);--> statement-breakpoint
CREATE TABLE `client_traffics` (
	`server_id` integer NOT NULL,
	`client_id` integer NOT NULL,
	`up` integer DEFAULT 0 NOT NULL,
	`down` integer DEFAULT 0 NOT NULL,
	`traffic_seq` integer NOT NULL,
	`reset_up` integer DEFAULT 0 NOT NULL,
	`reset_down` integer DEFAULT 0 NOT NULL,
	`last_active_at` integer,
	PRIMARY KEY(`server_id`, `client_id`),
	FOREIGN KEY (`server_id`,`client_id`) REFERENCES `clients`(`server_id`,`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `client_traffics_seq` ON `client_traffics` (`server_id`,`traffic_seq`);--> statement-breakpoint
CREATE TABLE `clients` (
	`server_id` integer NOT NULL,
	`id` integer NOT NULL,
	`email` text NOT NULL,
	`email_key` text NOT NULL,
	`credentials` text NOT NULL,
	`flow` text NOT NULL,
	`enabled` integer NOT NULL,
	`comment` text NOT NULL,
	`row_version` integer NOT NULL,
	`change_seq` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`server_id`, `id`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `clients_email` ON `clients` (`server_id`,`email_key`);--> statement-breakpoint
CREATE INDEX `clients_change` ON `clients` (`server_id`,`change_seq`);--> statement-breakpoint
CREATE TABLE `drafts` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL,
	`updated_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `identities` (
	`spki_hash` text PRIMARY KEY NOT NULL,
	`server_id` integer NOT NULL,
	`serial` text NOT NULL,
	`not_after` integer NOT NULL,
	`revoked_at` integer,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `identities_server` ON `identities` (`server_id`);--> statement-breakpoint
CREATE TABLE `inbound_traffics` (
	`server_id` integer NOT NULL,
	`inbound_id` integer NOT NULL,
	`up` integer DEFAULT 0 NOT NULL,
	`down` integer DEFAULT 0 NOT NULL,
	`traffic_seq` integer NOT NULL,
	PRIMARY KEY(`server_id`, `inbound_id`),
	FOREIGN KEY (`server_id`,`inbound_id`) REFERENCES `inbounds`(`server_id`,`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `inbound_traffics_seq` ON `inbound_traffics` (`server_id`,`traffic_seq`);--> statement-breakpoint
CREATE TABLE `inbounds` (
	`server_id` integer NOT NULL,
	`id` integer NOT NULL,
	`tag` text NOT NULL,
	`remark` text NOT NULL,
	`protocol` text NOT NULL,
	`listen` text NOT NULL,
	`port` integer NOT NULL,
	`stream` text NOT NULL,
	`secrets` text,
	`sniffing` text NOT NULL,
	`enabled` integer NOT NULL,
	`row_version` integer NOT NULL,
	`change_seq` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`server_id`, `id`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "inbounds_port" CHECK("inbounds"."port" between 1 and 65535)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `inbounds_tag` ON `inbounds` (`server_id`,`tag`);--> statement-breakpoint
CREATE INDEX `inbounds_change` ON `inbounds` (`server_id`,`change_seq`);--> statement-breakpoint
CREATE TABLE `incidents` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`server_id` integer NOT NULL,
	`kind` text NOT NULL,
	`reason` text,
	`opened_at` integer NOT NULL,
	`closed_at` integer,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `incidents_open` ON `incidents` (`server_id`) WHERE "incidents"."closed_at" is null;--> statement-breakpoint
CREATE TABLE `join_tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`server_id` integer NOT NULL,
	`secret_hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `outbound_traffics` (
	`server_id` integer NOT NULL,
	`tag` text NOT NULL,
	`up` integer DEFAULT 0 NOT NULL,
	`down` integer DEFAULT 0 NOT NULL,
	`traffic_seq` integer NOT NULL,
	PRIMARY KEY(`server_id`, `tag`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `outbound_traffics_seq` ON `outbound_traffics` (`server_id`,`traffic_seq`);--> statement-breakpoint
CREATE TABLE `outbox` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`chat` text NOT NULL,
	`key` text NOT NULL,
	`kind` text NOT NULL,
	`payload` text NOT NULL,
	`silent` integer DEFAULT false NOT NULL,
	`status` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`next_attempt_at` integer NOT NULL,
	`message_id` integer,
	`last_error` text,
	`created_at` integer NOT NULL,
	`sent_at` integer
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `outbox_key` ON `outbox` (`chat`,`key`);--> statement-breakpoint
CREATE INDEX `outbox_open` ON `outbox` (`chat`,`id`) WHERE "outbox"."status" in ('queued', 'sending');--> statement-breakpoint
CREATE TABLE `server_health` (
	`server_id` integer PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT;
--> statement-breakpoint
CREATE TABLE `server_tasks` (
	`id` text PRIMARY KEY NOT NULL,
	`seq` integer NOT NULL,
	`batch` text NOT NULL,
	`server_id` integer NOT NULL,
	`operation` text NOT NULL,
	`input` text NOT NULL,
	`secrets` text,
	`actor` text NOT NULL,
	`status` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`next_attempt_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`result` text,
	`error` text,
	`created_at` integer NOT NULL,
	`finished_at` integer,
	`hash` text NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `server_tasks_seq` ON `server_tasks` (`seq`);--> statement-breakpoint
CREATE INDEX `server_tasks_open` ON `server_tasks` (`server_id`,`seq`) WHERE "server_tasks"."status" in ('pending', 'running');--> statement-breakpoint
CREATE INDEX `server_tasks_batch` ON `server_tasks` (`batch`);--> statement-breakpoint
CREATE TABLE `server_transitions` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`server_id` integer NOT NULL,
	`from` text NOT NULL,
	`to` text NOT NULL,
	`reason` text,
	`at` integer NOT NULL,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT;
--> statement-breakpoint
CREATE INDEX `server_transitions_at` ON `server_transitions` (`server_id`,`at`);--> statement-breakpoint
CREATE TABLE `servers` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`name` text NOT NULL,
	`name_key` text NOT NULL,
	`kind` text NOT NULL,
	`endpoint` text,
	`public_address` text,
	`region` text DEFAULT '' NOT NULL,
	`tags` text DEFAULT '[]' NOT NULL,
	`notes` text DEFAULT '' NOT NULL,
	`alias` text DEFAULT '' NOT NULL,
	`status` text DEFAULT 'pending' NOT NULL,
	`enabled` integer DEFAULT true NOT NULL,
	`last_seen` integer,
	`last_error` text,
	`version` text,
	`xray_version` text,
	`os_info` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `servers_name` ON `servers` (`name_key`);--> statement-breakpoint
CREATE TABLE `settings` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `sync_states` (
	`server_id` integer PRIMARY KEY NOT NULL,
	`epoch` text NOT NULL,
	`change_seq` integer NOT NULL,
	`traffic_seq` integer NOT NULL,
	`next_id` integer DEFAULT 1 NOT NULL,
	`synced_at` integer,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT;
--> statement-breakpoint
CREATE TABLE `taps` (
	`nonce` text PRIMARY KEY NOT NULL,
	`chat` text NOT NULL,
	`user_id` text NOT NULL,
	`action` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `tombstones` (
	`server_id` integer NOT NULL,
	`kind` text NOT NULL,
	`id` integer NOT NULL,
	`change_seq` integer NOT NULL,
	PRIMARY KEY(`server_id`, `kind`, `id`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `tombstones_change` ON `tombstones` (`server_id`,`change_seq`);--> statement-breakpoint
CREATE TABLE `update_inbox` (
	`update_id` integer PRIMARY KEY NOT NULL,
	`queue` text NOT NULL,
	`body` text,
	`status` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`received_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `update_inbox_open` ON `update_inbox` (`queue`,`update_id`) WHERE "update_inbox"."status" = 'pending';--> statement-breakpoint
CREATE TABLE `xray_counters` (
	`name` text PRIMARY KEY NOT NULL,
	`xray_start` text NOT NULL,
	`value` integer NOT NULL
) STRICT, WITHOUT ROWID;
