/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "core/finding.h"
#include "core/log_area.h"
#include "cli/opts.h"
#include "io/discover.h"
#include "io/signature.h"

/* What every command that reads a mirror begins with: the mirror discovered and
 * open, an engine, the log decoded, and what is odd about them. */
struct session {
	struct opened_mirror opened;
	struct block_engine *engine;
	struct log_area area;
	struct mirror_log log;
	bool has_log;		/* false: a core log, no bits on disk */
	struct bitmap counted;	/* session_trust_count(): stands for the bits then */
	struct finding_list findings;
	/* What libblkid recognised on each leg when it was opened, and behind the last one
	 * on the log. */
	struct signature_wanted contents[MIRROR_LEGS_MAX + 1];
};

/* 0 or a negative errno with an error. Closed with session_close(). */
int session_open(struct session *session, const struct mirror_words *mirror,
		 const struct report_words *report, struct error *err);
/* Are there legs, and not --log alone? `who` is "undo compares". A usage error if not. */
int session_check_legs(const struct session *session, const char *who, struct error *err);
/* Is there a log on disk? -EOPNOTSUPP with an error if not: "…: <why_not>". */
int session_check_log(const struct session *session, const char *why_not, struct error *err);
/* For who writes: the header's count of regions is the only thing that a wrong region
 * size trips over. Where it does not fit and nobody said --length or --table: -EINVAL with
 * a usage error. */
int session_check_count(const struct session *session, struct error *err);
/* For a core log: there are no bits to read, but a kernel that counts all regions as in
 * sync says of each what a clean bit would. They are set in session->log.clean_bits, and
 * from now on the mirror has changed when the kernel counts fewer. -EOPNOTSUPP with an
 * error where it does not count all, or is not asked. */
int session_trust_count(struct session *session, struct error *err);
/* The log as it is now. */
int session_read_log(struct session *session, struct error *err);
/* Is the mirror still the one that was opened? Else `change` says what has changed. */
bool session_unchanged(struct session *session, bool closely, char *change, size_t room);
/* The same right before anything is written: 0, or -ESTALE with an error. */
int session_check_unchanged(struct session *session, struct error *err);
/* And once all is written: what has changed meanwhile becomes a finding; or, where no
 * findings are told, an error: -ESTALE, `what` was done all the same. */
void session_look_again(struct session *session);
/* Says so on stderr, whatever the report does. */
void session_tell_change(const struct session *session, const char *change);
int session_check_after(struct session *session, const char *what, struct error *err);
/* Tells on stderr, a line each, the findings that have a remedy, unless the report
 * shows them on the same terminal: a cron job that is --quiet, or reads JSON, must
 * not miss them. */
/* `from`: the first finding not yet told. */
void session_warn(const struct session *session, const struct report_words *report,
		  size_t from);
/* After a run that left requests on a hanging device nothing may be freed:
 * `hung` leaves it all to the kernel. What is to be added to the exit status: 0, or 8 when
 * LVM could not be let in again, which is then told on stderr. */
int session_close(struct session *session, bool hung);

#endif
