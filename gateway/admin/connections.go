package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// defaultListed is the maximum number of connections in an answer to a request that gives no limit.
const defaultListed = 100

// ConnectionQuery selects connections. The zero value of a field selects all.
type ConnectionQuery struct {
	User, Channel, Protocol string
	// Network has the addresses of the clients.
	Network netip.Prefix
	// Sort is one of the values of contract.ParamSort.
	Sort string
	// Limit is the maximum number of connections in the list.
	Limit int
}

// sorts are the values of contract.ParamSort.
var sorts = []string{contract.SortAge, contract.SortUser, contract.SortIP, contract.SortQueued}

// connections answers GET contract.PathConnections.
func (p *port) connections(w http.ResponseWriter, r *http.Request) {
	q, problem := readConnectionQuery(r.URL.Query())
	if problem != "" {
		refuse(w, http.StatusBadRequest, problem)
		return
	}
	answer(w, http.StatusOK, p.Connections(q))
}

// readConnectionQuery returns the query of a request, or what is wrong with a parameter and what to give.
func readConnectionQuery(params url.Values) (q ConnectionQuery, problem string) {
	q = ConnectionQuery{
		User:     params.Get(contract.ParamUser),
		Channel:  params.Get(contract.ParamChannel),
		Protocol: params.Get(contract.ParamProtocol),
		Sort:     contract.SortAge,
		Limit:    defaultListed,
	}
	if v := params.Get(contract.ParamSort); v != "" {
		if !slices.Contains(sorts, v) {
			return q, contract.ParamSort + ": give one of " + strings.Join(sorts, ", ")
		}
		q.Sort = v
	}
	if v := params.Get(contract.ParamLimit); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > contract.MaxListed {
			return q, contract.ParamLimit + ": give a number from 1 to " + strconv.Itoa(contract.MaxListed)
		}
		q.Limit = n
	}
	if v := params.Get(contract.ParamIP); v != "" {
		network, ok := readNetwork(v)
		if !ok {
			return q, contract.ParamIP + ": give an address like 192.0.2.7, or a network like 192.0.2.0/24"
		}
		q.Network = network
	}
	return q, ""
}

// readNetwork returns the network that text is, or that of one address. It reports false when text is neither.
func readNetwork(text string) (netip.Prefix, bool) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network.Masked(), true
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	address = address.Unmap().WithZone("")
	return netip.PrefixFrom(address, address.BitLen()), true
}
