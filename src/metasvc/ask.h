// One round trip of a method over a Transport. Private to metasvc/.
#pragma once

#include "metasvc/codec.h"
#include "metasvc/remote_metadata.h"

namespace shoal::metasvc {

template <typename M>
Result<typename M::Reply> ask(Transport& transport, const meta::Request& request, M arguments) {
  const Asked<M> asked{request.caller, std::move(arguments)};
  TRY_ASSIGN(
      const std::string reply,
      transport.call(M::kNumber, {request.session, request.sequence, request.slot}, encode(asked)));
  return decode<typename M::Reply>(reply);
}
template <typename M>
Status tell(Transport& transport, const meta::Request& request, M arguments) {
  const auto answer = ask(transport, request, std::move(arguments));
  return answer.ok() ? Status() : Status(answer.error());
}

}  // namespace shoal::metasvc
