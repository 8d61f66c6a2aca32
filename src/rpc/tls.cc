// The TLS session of a connection. OpenSSL's two memory BIOs are the ciphertext that came and that
// is to go; the session and both are used under one lock, I/O happens outside it.
//
// Order of ciphertext: only the writing thread (and handshake(), which is alone) takes it out of
// its BIO, so records leave in the order in which they were sealed. What a read makes OpenSSL say
// (an answer to a key update) waits there for the next write.
#include "rpc/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "rpc/tls_context_internal.h"
#include "sys/mutex.h"

namespace shoal::rpc {
namespace {

using std::chrono::milliseconds;

constexpr size_t kCiphertextBytes = 16 << 10;  // read at once: one record
constexpr size_t kPlaintextBytes = 64 << 10;   // sealed at once: what a stalled write may hold
constexpr std::string_view kExporterLabel = "EXPORTER-Channel-Binding";

struct FreeSsl {
  void operator()(SSL* ssl) const { ::SSL_free(ssl); }
};

class Session final : public TlsConnection {
 public:
  Session(std::unique_ptr<Connection> plain, std::shared_ptr<const TlsContext> context)
      : plain_(std::move(plain)), context_(std::move(context)) {
    ssl_.reset(::SSL_new(tls_internal::raw(*context_)));
    came_ = ::BIO_new(::BIO_s_mem());
    to_go_ = ::BIO_new(::BIO_s_mem());
    CHECK(ssl_ != nullptr && came_ != nullptr && to_go_ != nullptr);  // out of memory
    ::BIO_set_mem_eof_return(came_, -1);
    ::SSL_set_bio(ssl_.get(), came_, to_go_);  // which owns both from here on
  }

  Status be_client(const std::string& server_name) {
    ::SSL_set_connect_state(ssl_.get());
    server_name_ = server_name;
    ::ERR_clear_error();
    X509_VERIFY_PARAM* parameters = ::SSL_get0_param(ssl_.get());
    // An empty name would mean: any certificate will do.
    const bool is_text = !server_name.empty() && server_name.find('\0') == std::string::npos;
    if (is_text && ::X509_VERIFY_PARAM_set1_ip_asc(parameters, server_name.c_str()) == 1) return {};
    ::X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!is_text || ::SSL_set1_host(ssl_.get(), server_name.c_str()) != 1 ||
        ::SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str()) != 1) {
      return error(EINVAL,
                   "'{}' is no server name to find in a certificate: give a DNS name or an "
                   "IP address",
                   server_name);
    }
    return {};
  }
  void be_server() { ::SSL_set_accept_state(ssl_.get()); }

  Status handshake() override {
    for (;;) {
      int done = 0;
      std::string out;
      Status failed;
      {
        MutexLock lock(mutex_);
        ::ERR_clear_error();
        done = ::SSL_do_handshake(ssl_.get());
        const int why = ::SSL_get_error(ssl_.get(), done);
        if (done != 1 && why != SSL_ERROR_WANT_READ) failed = failure("TLS handshake");
        out = take_ciphertext();
      }
      if (!out.empty()) {
        const Status sent = plain_->write_all(as_bytes(out), milliseconds(0));
        if (failed.ok()) TRY(sent);
        sent.ignore("an alert for a peer that may be gone");
      }
      TRY(failed);
      if (done == 1) return {};
      TRY_ASSIGN(const bool more, feed(milliseconds(0)));
      if (!more)
        return error(ECONNRESET, "the peer closed the connection during the TLS handshake");
    }
  }

  std::string binding() const override {
    MutexLock lock(mutex_);
    std::string bytes(32, '\0');
    CHECK(::SSL_export_keying_material(ssl_.get(), reinterpret_cast<unsigned char*>(bytes.data()),
                                       bytes.size(), kExporterLabel.data(), kExporterLabel.size(),
                                       nullptr, 0, 0) == 1);
    return bytes;
  }

  std::string certificate() const override {
    MutexLock lock(mutex_);
    X509* shown = ::SSL_get0_peer_certificate(ssl_.get());
    if (shown == nullptr || ::SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
    return tls_internal::subject_of(*shown);
  }

  Result<size_t> read(MutableBytes into, milliseconds timeout) override {
    CHECK(!into.empty());
    for (;;) {
      {
        MutexLock lock(mutex_);
        ::ERR_clear_error();
        size_t n = 0;
        const int done = ::SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
        if (done == 1) return n;
        const int why = ::SSL_get_error(ssl_.get(), done);
        if (why == SSL_ERROR_ZERO_RETURN) return size_t{0};
        if (why != SSL_ERROR_WANT_READ) return failure("TLS");
      }
      TRY_ASSIGN(const bool more, feed(timeout));
      if (!more) return size_t{0};
    }
  }

  Status write_all(ByteView bytes, milliseconds timeout) override {
    for (;;) {
      TRY(plain_->write_all(as_bytes(std::exchange(sealed_, {})), timeout));
      bytes = bytes.subspan(take_ahead(bytes.size()));
      if (bytes.empty()) return {};
      TRY(seal(bytes));
    }
  }

  // Bytes that were sealed but did not all leave count as not taken; their ciphertext is kept, and
  // they are skipped when they come again.
  Result<size_t> write_some(ByteView bytes) override {
    size_t taken = 0;
    for (;;) {
      TRY_ASSIGN(const size_t n, plain_->write_some(as_bytes(sealed_)));
      sealed_.erase(0, n);
      if (!sealed_.empty()) return taken;
      taken += take_ahead(bytes.size() - taken);
      if (taken == bytes.size()) return taken;
      TRY(seal(bytes.subspan(taken)));
    }
  }

  void shutdown() override { plain_->shutdown(); }
  PeerIdentity peer() const override { return plain_->peer(); }

 private:
  // Of the writing thread: makes ciphertext of the first bytes.
  Status seal(ByteView bytes) {
    const ByteView piece = bytes.first(std::min(bytes.size(), kPlaintextBytes));
    MutexLock lock(mutex_);
    ::ERR_clear_error();
    size_t n = 0;
    const int done = ::SSL_write_ex(ssl_.get(), piece.data(), piece.size(), &n);
    if (done != 1 || n != piece.size()) return failure("TLS");
    sealed_ = take_ciphertext();
    ahead_ = piece.size();
    return {};
  }
  size_t take_ahead(size_t at_most) {
    const size_t skipped = std::min(ahead_, at_most);
    ahead_ -= skipped;
    return skipped;
  }

  std::string take_ciphertext() REQUIRES(mutex_) {
    std::string out(::BIO_ctrl_pending(to_go_), '\0');
    size_t n = 0;
    if (!out.empty()) CHECK(::BIO_read_ex(to_go_, out.data(), out.size(), &n) == 1);
    CHECK(n == out.size());
    return out;
  }

  // Waits for more ciphertext; false at the end of the stream. Only the reading thread calls it.
  Result<bool> feed(milliseconds timeout) {
    TRY_ASSIGN(const size_t n, plain_->read(buffer_, timeout));
    if (n == 0) return false;
    MutexLock lock(mutex_);
    size_t taken = 0;
    CHECK(::BIO_write_ex(came_, buffer_.data(), n, &taken) == 1 && taken == n);
    return true;
  }

  Error failure(std::string_view what) REQUIRES(mutex_) {
    const long verdict = ::SSL_get_verify_result(ssl_.get());
    if (verdict != X509_V_OK && !::SSL_is_init_finished(ssl_.get())) {
      const bool client = ::SSL_is_server(ssl_.get()) == 0;
      return error(EACCES, "the {}'s certificate{} is refused: {}; check it and the CA file",
                   client ? "server" : "client", client ? " for " + server_name_ : "",
                   ::X509_verify_cert_error_string(verdict));
    }
    return tls_internal::library_error(what);
  }

  const std::unique_ptr<Connection> plain_;
  const std::shared_ptr<const TlsContext> context_;  // shared: many sessions, and who made it
  std::string server_name_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kCiphertextBytes);  // the reader's
  std::string sealed_;  // the writer's: ciphertext that has not left
  size_t ahead_ = 0;    // the writer's: so many of the next bytes are sealed already
  mutable Mutex mutex_;
  std::unique_ptr<SSL, FreeSsl> ssl_ PT_GUARDED_BY(mutex_);
  BIO* came_ = nullptr;   // ssl_'s
  BIO* to_go_ = nullptr;  // ssl_'s
};

}  // namespace

Result<std::unique_ptr<TlsConnection>> TlsConnection::client(
    std::unique_ptr<Connection> plain, std::shared_ptr<const TlsContext> context,
    const std::string& server_name) {
  auto session = std::make_unique<Session>(std::move(plain), std::move(context));
  TRY(session->be_client(server_name));
  return std::unique_ptr<TlsConnection>(std::move(session));
}

std::unique_ptr<TlsConnection> TlsConnection::server(std::unique_ptr<Connection> plain,
                                                     std::shared_ptr<const TlsContext> context) {
  auto session = std::make_unique<Session>(std::move(plain), std::move(context));
  session->be_server();
  return session;
}

}  // namespace shoal::rpc
