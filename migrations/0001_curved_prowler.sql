CREATE TABLE `inbound_client_ips` (
	`server_id` integer NOT NULL,
	`client_id` integer NOT NULL,
	`address` text NOT NULL,
	`first_seen_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	PRIMARY KEY(`server_id`, `client_id`, `address`),
	FOREIGN KEY (`server_id`,`client_id`) REFERENCES `clients`(`server_id`,`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `routings` (
	`server_id` integer PRIMARY KEY NOT NULL,
	`document` text NOT NULL,
	`row_version` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT;
--> statement-breakpoint
CREATE TABLE `traffic_days` (
	`server_id` integer NOT NULL,
	`kind` text NOT NULL,
	`subject` text NOT NULL,
	`day` integer NOT NULL,
	`up` integer NOT NULL,
	`down` integer NOT NULL,
	PRIMARY KEY(`server_id`, `kind`, `subject`, `day`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `traffic_days_day` ON `traffic_days` (`day`);--> statement-breakpoint
CREATE TABLE `certificates` (
	`server_id` integer NOT NULL,
	`domain` text NOT NULL,
	`kind` text NOT NULL,
	`challenge` text,
	`directory` text,
	`email` text,
	`issuer` text NOT NULL,
	`not_before` integer NOT NULL,
	`not_after` integer NOT NULL,
	`sha256` text NOT NULL,
	`chain` text NOT NULL,
	`key` text NOT NULL,
	`auto_renew` integer NOT NULL,
	`next_try_at` integer,
	`failures` integer DEFAULT 0 NOT NULL,
	`last_error` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`server_id`, `domain`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `certificates_next_try` ON `certificates` (`server_id`,`next_try_at`);--> statement-breakpoint
ALTER TABLE `clients` ADD `limit_bytes` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `next_reset_at` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `blocked` text;--> statement-breakpoint
ALTER TABLE `clients` ADD `lasts_days` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `reset_days` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `ip_limit` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `telegram_id` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `started_at` integer;--> statement-breakpoint
ALTER TABLE `inbound_traffics` ADD `reset_up` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `inbound_traffics` ADD `reset_down` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `inbounds` ADD `settings` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `inbounds` ADD `limit_bytes` integer;--> statement-breakpoint
ALTER TABLE `inbounds` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `inbounds` ADD `next_reset_at` integer;--> statement-breakpoint
ALTER TABLE `inbounds` ADD `blocked` text;--> statement-breakpoint
ALTER TABLE `inbounds` ADD `traffic_reset` text DEFAULT 'never' NOT NULL;