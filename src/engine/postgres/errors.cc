#include "engine/postgres/errors.h"

#include "engine/postgres/connection.h"

namespace shoal::engine::postgres {
namespace {

struct Meaning {
  std::string_view key;  // words of libpq's message, or an SQLSTATE (or its class of two letters)
  int code;
  const char* remedy;
};

// libpq 15 gives no SQLSTATE for a failed connection, only words. In another language than English
// the words stay and the remedy is the general one.
constexpr Meaning kConnecting[] = {
    {"password authentication failed", EACCES,
     "correct the user or password in the URL, in PGPASSWORD or in ~/.pgpass"},
    {"no password supplied", EACCES, "give a password in the URL, in PGPASSWORD or in ~/.pgpass"},
    {"no pg_hba.conf entry", EACCES, "allow this client in the server's pg_hba.conf"},
    {"authentication failed", EACCES, "allow this client in the server's pg_hba.conf"},
    {"permission denied for database", EACCES, "grant the role CONNECT on it"},
    {"FATAL: role", EACCES, "create the role with `createuser`, or correct the URL"},
    {"FATAL: database", ENOENT, "create it with `createdb`, or correct the URL"},
    {"too many connections", EAGAIN, "raise max_connections or stop other clients"},
    {"remaining connection slots", EAGAIN, "raise max_connections or stop other clients"},
    {"read-only", EROFS, "connect to the primary; several hosts may be given in the URL"},
    {"hot standby", EROFS, "connect to the primary; several hosts may be given in the URL"},
};

constexpr Meaning kAnswers[] = {
    {"42501", EACCES, "grant the role that right, or use another role"},
    {"3F000", ENOENT, "create the volume with `shoal format`"},
    {"42P01", EBADMSG, "a table of the volume was dropped: restore the database from a backup"},
    {"25006", EROFS, "connect to the primary; several hosts may be given in the URL"},
    {"53100", ENOSPC, "free space on the server's disk"},
    {"53200", ENOMEM, "the server needs more memory"},
    {"53", EAGAIN, "the server lacks resources; try again"},
    {"55P03", EBUSY, "another process holds rows of the volume: end its connections"},
    {"40", EAGAIN, "other writers of the volume kept it back; try again"},
    {"XX001", EBADMSG, "restore the database from a backup"},
    {"XX002", EBADMSG, "run REINDEX on the volume's schema"},
};

}  // namespace

std::string one_line(std::string_view text) {
  std::string line;
  bool blank = false;
  for (const char c : text) {
    if (c == '\n' || c == '\t' || c == ' ') {
      blank = !line.empty();
      continue;
    }
    if (blank) line.push_back(' ');
    blank = false;
    line.push_back(c);
  }
  return line;
}

Error connect_error(const Target& target, std::string_view message) {
  const std::string line = one_line(message);
  for (const Meaning& meaning : kConnecting) {
    if (line.find(meaning.key) != std::string::npos) {
      return error(meaning.code, "{}: {}; {}", target.shown, line, meaning.remedy);
    }
  }
  return error(ENOTCONN, "{}: {}; is the server running there, and the URL right?", target.shown,
               line.empty() ? "no connection" : line);
}

Error answer_error(const Target& target, const Answer& answer, std::string_view doing) {
  if (answer.kind == Answer::Kind::kLost) {
    return error(ENOTCONN, "{}: the connection was lost while {}: {}; is the server running?",
                 target.shown, doing, answer.text);
  }
  for (const Meaning& meaning : kAnswers) {
    if (answer.state.starts_with(meaning.key)) {
      return error(meaning.code, "{}: {}: {}; {}", target.shown, doing, answer.text,
                   meaning.remedy);
    }
  }
  return error(EIO, "{}: {}: {} (SQLSTATE {}); see the server's log", target.shown, doing,
               answer.text, answer.state);
}

}  // namespace shoal::engine::postgres
