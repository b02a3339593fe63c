CREATE TABLE `deleted_certificates` (
	`server_id` integer NOT NULL,
	`domain` text NOT NULL,
	`deleted_at` integer NOT NULL,
	PRIMARY KEY(`server_id`, `domain`),
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
) STRICT, WITHOUT ROWID;
