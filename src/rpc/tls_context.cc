// Certificates, keys and the rules of a TLS session.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "rpc/tls_context_internal.h"

namespace shoal::rpc {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
};
using RawContext = std::unique_ptr<SSL_CTX, FreeContext>;

class Context final : public TlsContext {
 public:
  explicit Context(RawContext raw) : raw_(std::move(raw)) {}
  SSL_CTX* raw() const { return raw_.get(); }

 private:
  RawContext raw_;
};

std::string library_text() {
  std::string text;
  while (const unsigned long code = ::ERR_get_error()) {
    if (const char* reason = ::ERR_reason_error_string(code); text.empty() && reason != nullptr)
      text = reason;
  }
  return text.empty() ? "unknown error" : text;
}

Result<RawContext> plain_context(const SSL_METHOD* method) {
  ::ERR_clear_error();
  RawContext raw(::SSL_CTX_new(method));
  if (raw == nullptr) return error(EIO, "OpenSSL does not start: {}", library_text());
  CHECK(::SSL_CTX_set_min_proto_version(raw.get(), TLS1_3_VERSION) == 1);
  CHECK(::SSL_CTX_set_num_tickets(raw.get(), 0) == 1);
  ::SSL_CTX_set_session_cache_mode(raw.get(), SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_options(raw.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_mode(raw.get(), SSL_MODE_RELEASE_BUFFERS);  // idle connections are many
  return raw;
}

Status use_certificate(SSL_CTX* raw, const std::string& certificate_file,
                       const std::string& key_file) {
  if (key_file.empty())
    return error(EINVAL, "certificate {}: name the file with its key too", certificate_file);
  if (::SSL_CTX_use_certificate_chain_file(raw, certificate_file.c_str()) != 1) {
    return error(EINVAL, "certificate {}: {}; a readable PEM file is needed", certificate_file,
                 library_text());
  }
  if (::SSL_CTX_use_PrivateKey_file(raw, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return error(EINVAL,
                 "key {} of certificate {}: {}; its own key in a readable PEM file is needed",
                 key_file, certificate_file, library_text());
  }
  return {};
}

Status use_ca(SSL_CTX* raw, const std::string& file) {
  const int done = file.empty() ? ::SSL_CTX_set_default_verify_paths(raw)
                                : ::SSL_CTX_load_verify_file(raw, file.c_str());
  if (done == 1) return {};
  return error(EINVAL, "CA certificates {}: {}; a readable PEM file is needed",
               file.empty() ? "of the system" : file, library_text());
}

std::shared_ptr<const TlsContext> finished(RawContext raw) {
  return std::make_shared<Context>(std::move(raw));
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::for_server(const TlsServerFiles& files) {
  TRY_ASSIGN(RawContext raw, plain_context(::TLS_server_method()));
  TRY(use_certificate(raw.get(), files.certificate_file, files.key_file));
  if (!files.client_ca_file.empty()) {
    TRY(use_ca(raw.get(), files.client_ca_file));
    int mode = SSL_VERIFY_PEER;
    if (files.client_certificate == TlsServerFiles::ClientCertificate::kRequired)
      mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    ::SSL_CTX_set_verify(raw.get(), mode, nullptr);
    STACK_OF(X509_NAME)* names = ::SSL_load_client_CA_file(files.client_ca_file.c_str());
    if (names == nullptr) {
      return error(EINVAL, "CA certificates {}: {}; a readable PEM file is needed",
                   files.client_ca_file, library_text());
    }
    ::SSL_CTX_set_client_CA_list(raw.get(), names);  // which takes them
  }
  return finished(std::move(raw));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::for_client(const TlsClientFiles& files) {
  TRY_ASSIGN(RawContext raw, plain_context(::TLS_client_method()));
  TRY(use_ca(raw.get(), files.ca_file));
  if (!files.certificate_file.empty())
    TRY(use_certificate(raw.get(), files.certificate_file, files.key_file));
  ::SSL_CTX_set_verify(raw.get(), SSL_VERIFY_PEER, nullptr);
  return finished(std::move(raw));
}

namespace tls_internal {

SSL_CTX* raw(const TlsContext& context) { return static_cast<const Context&>(context).raw(); }

std::string subject_of(X509& certificate) {
  BIO* memory = ::BIO_new(::BIO_s_mem());
  CHECK(memory != nullptr);
  ::X509_NAME_print_ex(memory, ::X509_get_subject_name(&certificate), 0, XN_FLAG_RFC2253);
  std::string text(::BIO_ctrl_pending(memory), '\0');
  size_t n = 0;
  if (!text.empty()) CHECK(::BIO_read_ex(memory, text.data(), text.size(), &n) == 1);
  ::BIO_free(memory);
  return text;
}

Error library_error(std::string_view what) {
  const unsigned long code = ::ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  const bool alert = ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET;
  const std::string text = library_text();
  if (alert) {
    const int number = reason - SSL_AD_REASON_OFFSET;
    const bool ours = number == SSL_AD_CERTIFICATE_REQUIRED || number == SSL_AD_UNKNOWN_CA ||
                      (number >= SSL_AD_BAD_CERTIFICATE && number <= SSL_AD_CERTIFICATE_UNKNOWN);
    if (ours)
      return error(EACCES, "{}: the peer refuses our certificate ({}); check it and the peer's CA",
                   what, text);
  }
  return error(EPROTO, "{}: {}", what, text);
}

}  // namespace tls_internal
}  // namespace shoal::rpc
