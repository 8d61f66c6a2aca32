#include "engine/postgres/moment.h"

#include "engine/postgres/errors.h"

namespace shoal::engine::postgres {

Moment::Turn::Turn(Moment& moment) : moment_(moment) {
  MutexLock lock(moment_.mutex_);
  while (moment_.busy_) moment_.free_.wait(moment_.mutex_);
  moment_.busy_ = true;
}

Moment::Turn::~Turn() {
  MutexLock lock(moment_.mutex_);
  moment_.busy_ = false;
  moment_.free_.notify_one();
}

void Moment::begin(Pool& pool) {
  const Turn turn(*this);
  if (ended_) return;  // one too many, before it began
  lease_.emplace(pool.take());
  // The state is that of the first statement, not of BEGIN.
  Result<Connection*> connection = lease_->ready();
  if (connection.ok()) {
    const Answer answer =
        (*connection)->query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1");
    if (answer.kind == Answer::Kind::kDone) return;
    failure_ = answer_error(target_, answer, "beginning to read");
    lease_->discard();
  } else {
    failure_ = connection.error();
  }
  lease_.reset();
}

Result<Rows> Moment::execute(const Statement& statement) {
  const Turn turn(*this);
  if (failure_.has_value()) return *failure_;
  if (!lease_.has_value()) {
    return error(ESTALE, "{}: the read token has ended; read with a new one", target_.shown);
  }
  Answer answer = lease_->connection().execute(statement.sql, statement.parameters);
  if (answer.kind == Answer::Kind::kDone) return std::move(answer.rows);
  lease_->discard();  // and with it the transaction
  lease_.reset();
  if (answer.kind == Answer::Kind::kRefused) return answer_error(target_, answer, "reading");
  return error(ESTALE, "{}: the connection of the read token was lost: {}; read with a new one",
               target_.shown, answer.text);
}

void Moment::end() {
  const Turn turn(*this);
  ended_ = true;
  if (!lease_.has_value()) return;
  const Answer answer = lease_->connection().query("ROLLBACK");
  if (answer.kind != Answer::Kind::kDone) lease_->discard();
  lease_.reset();
}

}  // namespace shoal::engine::postgres
