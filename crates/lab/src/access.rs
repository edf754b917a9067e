//! Clients and kubeconfigs for users, groups and `ServiceAccounts`.
//!
//! Each method of [`ControlPlane`] here takes an identity and returns a client, or the path of a kubeconfig, that
//! authenticates as it. Impersonation and certificates grant nothing: RBAC of the cluster decides what the identity may
//! do.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};

use super::{
    ControlPlane, LabError, Result,
    kubeconfig::{self, ClientIdentity},
    pki::write_private,
    wait::eventually,
};

/// Timeout until a `ServiceAccount`, and the right to ask for its token, exist.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(30);

/// Lifetime of tokens: longer than any run of the lab.
const TOKEN_SECONDS: i64 = 7 * 24 * 3600;

impl ControlPlane {
    /// A client that is `user` and a member of `groups`, by impersonation. A `ServiceAccount`'s
    /// groups are added when `groups` is empty, as is `system:authenticated` for everybody.
    pub fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client> {
        let mut config = self.admin_config();
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups =
            (!groups.is_empty()).then(|| groups.iter().map(|group| (*group).to_owned()).collect());
        kubeconfig::client(self.admin_kubeconfig(), config)
    }

    /// A kubeconfig with a client certificate of `user`, a member of at most one group. For more
    /// groups see [`ControlPlane::client_as`], or `kubectl --as --as-group`.
    pub fn user_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let group = match groups {
            [] => None,
            [group] => Some(*group),
            _ => {
                return Err(LabError::Unsupported(format!(
                    "cannot make a certificate of {user} in {} groups: the lab's certificates name at \
                     most one; impersonate the user instead",
                    groups.len()
                )));
            }
        };
        let path = self.layout.kubeconfig_named(&self.layout.authority.unique(user));
        self.layout.write_kubeconfig(&path, user, group)?;
        Ok(path)
    }

    /// A kubeconfig with a token of a `ServiceAccount`, for which it waits if need be. Nothing else
    /// may be done with it than what the account's roles allow.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.token(namespace, name).await?;
        let path = self.layout.kubeconfig_named(&self.layout.authority.unique(&format!("{namespace}.{name}")));
        let authority = &self.layout.authority.credentials().certificate;
        kubeconfig::write(&path, &self.layout.server(), authority, &ClientIdentity::Token(&token))?;
        Ok(path)
    }

    async fn token(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..Default::default() }),
            ..Default::default()
        };
        let what = format!("a token of the ServiceAccount {namespace}/{name}");
        let answer = eventually(what.clone(), ACCOUNT_TIMEOUT, async || {
            match accounts.create_token_request(name, &PostParams::default(), &request).await {
                // The account may not exist yet, nor the authorizer have read its roles.
                Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => Err(status.message),
                answer => Ok(answer),
            }
        })
        .await?
        .map_err(LabError::api(format!("get {what}")))?;
        answer
            .status
            .and_then(|status| status.token)
            .ok_or_else(|| LabError::Unsupported(format!("the API server answered without {what}")))
    }

    /// Writes a file that only its owner may read into the lab's directory.
    pub fn write_file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.layout.dir.join(name);
        write_private(&path, content)?;
        Ok(path)
    }
}
