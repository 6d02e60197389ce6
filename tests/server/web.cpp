/* Web: see web.h. */
#include "web.h"

#include "rounds.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdexcept>

namespace server
{

static MHD_Result answer(void *opaque, MHD_Connection *connection, const char *, const char *,
                         const char *, const char *, size_t *, void **)
{
    const std::string text = static_cast<Web *>(opaque)->shared_statistics()->text() + "\n";
    MHD_Response *response = MHD_create_response_from_buffer(
        text.size(), const_cast<char *>(text.data()), MHD_RESPMEM_MUST_COPY);
    MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    web_rounds++;
    return result;
}

Web::Web(Statistics *shared) : statistics(shared) {}

Web::~Web()
{
    stop();
}

int Web::start(int port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, nullptr, nullptr, &answer, this,
                              MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    if (daemon == nullptr)
        throw std::runtime_error("cannot start the web server");
    return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void Web::stop()
{
    if (daemon != nullptr)
        MHD_stop_daemon(daemon);
    daemon = nullptr;
}

} // namespace server
