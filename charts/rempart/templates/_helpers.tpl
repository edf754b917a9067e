{{/* Labels of every object of the chart. */}}
{{- define "rempart.labels" -}}
app.kubernetes.io/name: rempart
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Namespaces that no policy reaches: those of the values, and always the operator's own,
so that a wrong policy can never keep the operator itself from starting. */}}
{{- define "rempart.exemptNamespaces" -}}
{{ append .Values.exemptNamespaces .Release.Namespace | uniq | sortAlpha | join "," }}
{{- end }}

{{/* Refuses clusters that cannot hold the promise, in a sentence instead of a failed apply. */}}
{{- define "rempart.requireCluster" -}}
{{- if eq .Release.Namespace "default" -}}
{{- fail "Rempart's own namespace is exempt from every policy, and `default` is where people put workloads: install it into a namespace of its own, with --namespace rempart-system --create-namespace." -}}
{{- end -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- if semverCompare "<1.36.0-0" $version -}}
{{- fail (printf "Rempart needs Kubernetes 1.36 or newer, where MutatingAdmissionPolicy is stable; this cluster is %s. Upgrade the cluster, then install Rempart." $version) -}}
{{- end -}}
{{- /* Kinds are known only when a cluster answered; rendering offline lists groups and versions alone. */ -}}
{{- $apis := .Capabilities.APIVersions -}}
{{- if and ($apis.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") (not ($apis.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy")) -}}
{{- fail (printf "This API server (%s) does not serve MutatingAdmissionPolicy of admissionregistration.k8s.io/v1, on which Rempart's admission rests. Start kube-apiserver without disabling that API or the MutatingAdmissionPolicy feature, then install Rempart." $version) -}}
{{- end -}}
{{- end }}

{{/* The image of everything that runs. */}}
{{- define "rempart.image" -}}
{{ printf "%s%s" .Values.image.repository (.Values.image.digest | empty | ternary (printf ":%s" (.Values.image.tag | default .Chart.AppVersion)) (printf "@%s" .Values.image.digest)) | quote }}
{{- end }}

{{/* Who its processes are, and what they may. */}}
{{- define "rempart.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "rempart.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
