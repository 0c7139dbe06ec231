package deploy

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// mpctl is the path of the command.
var mpctl = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "deploy")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mpctl")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/mpctl")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := mpctl(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// need returns the path of a program that may be missing.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("MULTIPROM_INTEGRATION") != "" {
		t.Fatalf("MULTIPROM_INTEGRATION is set, and %v", err)
	}
	if err != nil {
		t.Skip(err.Error() + "; `make integration-deps` installs it")
	}
	return path
}

func strict(t *testing.T, path string, object any) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(b, object), path)
}

// TestKubernetes: Kubernetes knows every field. The sidecar is a native one, its probes are
// pages of mpctl, and it starts as its arguments say.
func TestKubernetes(t *testing.T) {
	var deployment apps.Deployment
	strict(t, "kubernetes/deployment.yaml", &deployment)
	pod := deployment.Spec.Template.Spec
	require.Equal(t, deployment.Spec.Selector.MatchLabels, deployment.Spec.Template.Labels)
	require.Len(t, pod.InitContainers, 1)
	sidecar, app := pod.InitContainers[0], pod.Containers[0]
	require.Equal(t, core.ContainerRestartPolicyAlways, *sidecar.RestartPolicy)
	require.Equal(t, core.StorageMediumMemory, pod.Volumes[0].EmptyDir.Medium)
	require.Equal(t, sidecar.VolumeMounts, app.VolumeMounts)
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.Equal(t, *pod.SecurityContext.RunAsGroup, *pod.SecurityContext.FSGroup)
	require.Equal(t, core.EnvVar{Name: "PROMETHEUS_MULTIPROC_DIR", Value: sidecar.Args[1]}, app.Env[0])

	volume := t.TempDir()
	address := starts(t, volume, sidecar.Args)
	for _, probe := range []*core.Probe{sidecar.StartupProbe, sidecar.ReadinessProbe, sidecar.LivenessProbe} {
		require.Equal(t, sidecar.Ports[0].Name, probe.HTTPGet.Port.StrVal)
		answers(t, "http://"+address+probe.HTTPGet.Path)
	}
	info, err := os.Stat(filepath.Join(volume, "app"))
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|fs.ModeSetgid|0o770, info.Mode())

	var monitor monitoring.PodMonitor
	strict(t, "kubernetes/podmonitor.yaml", &monitor)
	require.Equal(t, deployment.Labels, monitor.Spec.Selector.MatchLabels)
	endpoint := monitor.Spec.PodMetricsEndpoints[0]
	require.Equal(t, sidecar.Ports[0].Name, *endpoint.Port)
	answers(t, "http://"+address+endpoint.Path)

	var wrong apps.Deployment
	require.Error(t, yaml.UnmarshalStrict([]byte("spec: {replica: 2}"), &wrong), "it would have noticed")
}

// TestCompose: the file obeys Compose's schema, and mpctl starts as it says.
func TestCompose(t *testing.T) {
	load := func(text string) (*types.Project, error) {
		return loader.LoadWithContext(context.Background(), types.ConfigDetails{
			WorkingDir: t.TempDir(), ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
		}, func(o *loader.Options) { o.SetProjectName("deploy", true) })
	}
	b, err := os.ReadFile("compose/compose.yaml")
	require.NoError(t, err)
	project, err := load(string(b))
	require.NoError(t, err)
	app, metrics := project.Services["app"], project.Services["metrics"]
	require.Equal(t, metrics.Command[1], *app.Environment["PROMETHEUS_MULTIPROC_DIR"])
	require.Equal(t, metrics.User, app.User)
	volume := t.TempDir()
	address := starts(t, volume, metrics.Command)
	answers(t, "http://"+address+"/metrics")
	check := slices.Clone(metrics.HealthCheck.Test[2:])
	path, err := mpctl()
	require.NoError(t, err)
	out, err := exec.Command(path, inVolume(volume, check)...).CombinedOutput()
	require.NoError(t, err, "%s", out)

	_, err = load(strings.Replace(string(b), "read_only: true", "readonly: true", 1))
	require.Error(t, err, "it would have noticed")
}

// TestPrometheus: promtool accepts the scrape configurations, except for the files of
// credentials, which are not here. Debian's knows no Kubernetes: the pods are replaced.
func TestPrometheus(t *testing.T) {
	promtool := need(t, "promtool")
	const pods = "    kubernetes_sd_configs:\n      - role: pod\n"
	for _, name := range []string{"prometheus.yml", "kubernetes.yml"} {
		b, err := os.ReadFile(filepath.Join("prometheus", name))
		require.NoError(t, err)
		require.Equal(t, name == "kubernetes.yml", strings.Contains(string(b), pods))
		path := filepath.Join(t.TempDir(), name)
		text := strings.Replace(string(b), pods, "    static_configs: [{targets: [pod]}]\n", 1)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		out, err := exec.Command(promtool, "check", "config", "--syntax-only", path).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// inVolume replaces the directory /metrics by the one of the test.
func inVolume(volume string, args []string) (out []string) {
	for _, arg := range args {
		out = append(out, strings.Replace(arg, "/metrics/", volume+"/", 1))
	}
	return out
}

// starts starts mpctl with the arguments of a container, on a port of its own, and returns
// its address once it answers.
func starts(t *testing.T, volume string, args []string) (address string) {
	t.Helper()
	path, err := mpctl()
	require.NoError(t, err)
	address = freeAddress(t)
	args = inVolume(volume, args)
	port := slices.Index(args, ":9464")
	require.GreaterOrEqual(t, port, 0, args)
	args[port] = address
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	answers(t, "http://"+address+"/-/healthy")
	return address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// answers waits until a URL answers 200.
func answers(t *testing.T, url string) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 2*time.Minute, 20*time.Millisecond, url)
}
