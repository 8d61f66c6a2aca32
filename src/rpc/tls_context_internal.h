// What rpc/tls.cc needs of the context and of OpenSSL's errors; nobody else includes this.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "rpc/tls.h"

namespace shoal::rpc::tls_internal {

SSL_CTX* raw(const TlsContext& context);
std::string subject_of(X509& certificate);  // "CN=node-7,O=example"
// From this thread's queue of OpenSSL errors, which it empties: EACCES when the peer refused our
// certificate, else EPROTO.
Error library_error(std::string_view what);

}  // namespace shoal::rpc::tls_internal
