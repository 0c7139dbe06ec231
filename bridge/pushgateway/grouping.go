package pushgateway

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/internal/form"
)

// target returns the URL of the group.
func (o *Options) target() (*url.URL, error) {
	if o.Job == "" {
		return nil, errors.New("option Job is empty: every group needs one")
	}
	raw := o.URL
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL: %q is not the URL of a Pushgateway, such as http://host:9091", u.Redacted())
	}
	path := strings.TrimRight(u.EscapedPath(), "/") + "/metrics" + pathOf("job", o.Job)
	for _, name := range slices.Sorted(maps.Keys(o.Grouping)) {
		switch {
		case name == "job":
			return nil, errors.New("option Grouping has the label job, which is the option Job")
		case !form.IsLegacyLabelName(name):
			return nil, fmt.Errorf("option Grouping has %q, which is not a valid label name", name)
		}
		path += pathOf(name, o.Grouping[name])
	}
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, err
	}
	u.RawPath = path
	return u, nil
}

// pathOf returns a label as part of the path. It encodes what a path cannot hold, or
// what a proxy may change.
func pathOf(name, value string) string {
	if value == "" {
		return "/" + name + "@base64/="
	}
	if strings.ContainsAny(value, "/ ") {
		return "/" + name + "@base64/" + base64.RawURLEncoding.EncodeToString([]byte(value))
	}
	return "/" + name + "/" + url.PathEscape(value)
}

// InstanceIPGroupingKey returns the label instance with this machine's address as
// others see it. It uses the routing table and sends no packet. Without a route it is
// 127.0.0.1.
func InstanceIPGroupingKey() map[string]string {
	ip := "127.0.0.1"
	// An address of TEST-NET-1 (RFC 5737). Connecting over UDP sends nothing.
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		if addr, ok := c.LocalAddr().(*net.UDPAddr); ok {
			ip = addr.IP.String()
		}
		c.Close()
	}
	return map[string]string{"instance": ip}
}
